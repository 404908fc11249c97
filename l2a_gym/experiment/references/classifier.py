"""What a reference is once it has learnt, and its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.experiment.figures import Figures, texts_per_second
from l2a_gym.tasks.task import Task, Texts

Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Classifier:
    """A reference that has learnt.

    Attributes:
        classify: from raw texts to their classes (n,).
        dev: (n,) the classes of the dev texts by a model that has not learnt from them.
        test: (n,) the classes of the test texts.
        labels: labelled target texts that it has read, to learn from or to choose by.
        parameters: numbers that it stores to classify.
    """

    classify: Callable[[Texts], Classes]
    dev: Classes
    test: Classes
    labels: int
    parameters: int


def classes_of(logits: Tensor) -> Classes:
    """The likeliest class of each row of logits (n, C)."""
    classes: Classes = logits.argmax(1).numpy()
    return classes


def figures_of(reference: Classifier, task: Task) -> Figures:
    """Measure a reference on its task."""
    reference.classify(task.test.take([0]))  # what is set up at a first call is not measured
    return Figures(
        dev_accuracy=float((reference.dev == task.dev.label).mean()),
        test_accuracy=float((reference.test == task.test.label).mean()),
        labels=reference.labels,
        parameters=reference.parameters,
        texts_per_second=texts_per_second(reference.classify, task.test),
    )
