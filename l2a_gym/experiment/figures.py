"""What a classifier is worth and what it costs: the line that teachers, references and students have in a table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from l2a_gym.distill.device import one_thread
from l2a_gym.tasks.task import Texts

TIMED = 256
"""Texts, at most, by which speed is measured."""


@dataclass(frozen=True)
class Figures:
    """A classifier's figures on a task.

    Attributes:
        dev_accuracy: share of dev's texts that it classifies as they are labelled; where it has learnt from them, by
            parts that have not.
        test_accuracy: the same of test's.
        labels: labelled texts of the target that it was made with, those that chose its settings included.
        parameters: stored numbers that it classifies with.
        texts_per_second: from text to class, on one thread.
    """

    dev_accuracy: float
    test_accuracy: float
    labels: int
    parameters: int
    texts_per_second: float

    @property
    def megabytes(self) -> float:
        """Size of the parameters in float32."""
        return 4 * self.parameters / 1e6


def standard_error(accuracy: float, texts: int) -> float:
    """Of an accuracy on so many texts, sqrt(p (1 - p) / n); p is kept a text away from 0 and 1."""
    p = min(max(accuracy, 1 / (texts + 2)), 1 - 1 / (texts + 2))
    return sqrt(p * (1 - p) / texts)


@one_thread()
def texts_per_second(classify: Callable[[Texts], object], texts: Texts) -> float:
    """How many texts are classified in a second, by at most :data:`TIMED` of these."""
    timed = texts.take(range(min(len(texts), TIMED)))
    start = time.perf_counter()
    classify(timed)
    return len(timed) / (time.perf_counter() - start)
