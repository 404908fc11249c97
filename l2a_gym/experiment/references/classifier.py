"""What a reference is once it has learnt, and its figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.tasks.task import Task, Texts

Classes = NDArray[np.int64]

TIMED = 512
"""Test texts, at most, that a reference is timed on."""
BYTES = 4
"""Of a number in single precision."""


@dataclass(frozen=True)
class Classifier:
    """A reference that has learnt.

    Attributes:
        classify: from raw texts to their classes (n,).
        dev: (n,) the classes of the dev texts by a model that has not learnt from them.
        test: (n,) the classes of the test texts.
        labels: labelled target texts that it has read, to learn from or to choose by.
        parameters: numbers that it stores to classify.
        strings: bytes of the vocabulary that it stores besides.
    """

    classify: Callable[[Texts], Classes]
    dev: Classes
    test: Classes
    labels: int
    parameters: int
    strings: int = 0


@dataclass(frozen=True)
class Figures:
    """What a reference is worth, and what it costs.

    Attributes:
        test_accuracy: share of the test texts whose class is right; nothing is chosen by it.
        dev_accuracy: the same of dev, by a model that has not learnt from these texts but may have been chosen by them.
        labels: labelled target texts that it has read before test.
        parameters: numbers that it stores to classify.
        megabytes: its size in single precision.
        texts_per_second: from raw text to class, on one thread.
    """

    test_accuracy: float
    dev_accuracy: float
    labels: int
    parameters: int
    megabytes: float
    texts_per_second: float


def classes_of(logits: Tensor) -> Classes:
    """The likeliest class of each row of logits (n, C)."""
    classes: Classes = logits.argmax(1).numpy()
    return classes


def figures_of(reference: Classifier, task: Task) -> Figures:
    """Measure a reference on its task."""
    return Figures(
        test_accuracy=float((reference.test == task.test.label).mean()),
        dev_accuracy=float((reference.dev == task.dev.label).mean()),
        labels=reference.labels,
        parameters=reference.parameters,
        megabytes=(BYTES * reference.parameters + reference.strings) / 1e6,
        texts_per_second=_speed(reference.classify, task.test),
    )


def _speed(classify: Callable[[Texts], Classes], texts: Texts) -> float:
    timed = texts.take(range(min(TIMED, len(texts))))
    classify(timed.take([0]))  # what is set up at the first call is not counted
    start = time.perf_counter()
    classify(timed)
    return len(timed) / (time.perf_counter() - start)
