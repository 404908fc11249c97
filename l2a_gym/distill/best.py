"""The choice of a model by the dev split."""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor
from torch.nn import functional as F

T = TypeVar("T")
WITHIN = 0.005
"""Accuracy on dev that is given up for a lower loss: on a few hundred texts, half a point tells nothing apart."""


class Best(Generic[T]):
    """What is best on dev of all that was looked at: the lowest loss near the highest accuracy.

    Attributes:
        kept: the best so far; its accuracy is at most :data:`WITHIN` below the highest.
        accuracy: of the best so far.
        loss: of the best so far.
        gained: whether the last look had a higher accuracy or a lower loss than all before.
    """

    kept: T

    def __init__(self, label: Tensor) -> None:
        self._label = label
        self._highest = self.accuracy = -1.0
        self._lowest = self.loss = float("inf")
        self.gained = False

    def update(self, logits: Tensor) -> bool:
        """Whether these logits (n, C) are better than all before: then the caller sets :attr:`kept`."""
        accuracy = float((logits.argmax(1) == self._label).float().mean())
        loss = float(F.cross_entropy(logits, self._label))
        self.gained = accuracy > self._highest or loss < self._lowest
        self._highest, self._lowest = max(self._highest, accuracy), min(self._lowest, loss)
        least = self._highest - WITHIN
        better = accuracy >= least and (loss < self.loss or self.accuracy < least)
        if better:
            self.accuracy, self.loss = accuracy, loss
        return better
