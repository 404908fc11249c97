"""How a student learns."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from l2a_gym.errors import UserError

_RANGES = {
    "learning_rate": (0, 1e38),
    "alpha": (0, 1),
    "temperature": (0.01, 100),
    "anchors": (1, 1024),
    "anchor_share": (0, 1),
    "weight_decay": (0, 1),
    "clip": (1e-6, 1e6),
}
"""Lowest and highest value of each number in :class:`Distillation`."""


@dataclass(frozen=True)
class Distillation:
    """How the student learns.

    Attributes:
        learning_rate: of AdamW, at its highest.
        alpha: the soft targets' share of the loss, in [0, 1].
        temperature: T of the soft targets.
        anchors: labelled texts of the target in each update, drawn with replacement.
        anchor_share: their share of the update's loss, in [0, 1]; all of it where no candidate is chosen.
        weight_decay: of AdamW.
        clip: largest norm of a gradient.
        frozen_embeddings: leave the word embeddings as they are, which saves their gradients and their optimizer.

    Raises:
        UserError: a value out of its range.
    """

    learning_rate: float = 1.5e-3
    alpha: float = 0.25
    temperature: float = 2.0
    anchors: int = 16
    anchor_share: float = 0.2
    weight_decay: float = 0.01
    clip: float = 1.0
    frozen_embeddings: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (isinstance(value, Real) and low <= float(value) <= high):
                raise UserError(f"{name} = {value}: valid are numbers from {low:g} to {high:g}")
        if not isinstance(self.anchors, int):
            raise UserError(f"anchors = {self.anchors}: valid are whole numbers")
        if not isinstance(self.frozen_embeddings, bool):
            raise UserError(f"frozen_embeddings = {self.frozen_embeddings}: valid are True and False")
