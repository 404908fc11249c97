"""What the student is worth: metrics of its outputs on a labelled set, and which of them the reward follows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

METRICS = ("nll", "accuracy", "macro_f1")


@dataclass(frozen=True)
class Scores:
    """Negative log-likelihood in nats, accuracy and macro F1 of one pass over a labelled set."""

    nll: float
    accuracy: float
    macro_f1: float

    def value(self, metric: str) -> float:
        """The metric with a sign such that more is better."""
        return -self.nll if metric == "nll" else float(getattr(self, metric))


def score(logits: Tensor, label: Tensor) -> Scores:
    """Scores of logits (n, C) against labels (n,); a class without any text or prediction counts F1 = 0."""
    return score_each(logits[None], label)[0]


def score_each(logits: Tensor, label: Tensor) -> list[Scores]:
    """The same of several students' logits (E, n, C); the device is waited for once."""
    students, _, classes = logits.shape
    guess = logits.argmax(2)
    right = guess == label
    nll = (
        F.cross_entropy(logits.flatten(0, 1), label.repeat(students), reduction="none").view_as(guess).double().mean(1)
    )
    truth, told = F.one_hot(label, classes), F.one_hot(guess, classes)
    hit = (truth * right[..., None]).sum(1).double()
    either = (truth.sum(0) + told.sum(1)).double()
    macro_f1 = (2 * hit / either.clamp(min=1)).mean(1)
    return [Scores(*row) for row in torch.stack([nll, right.double().mean(1), macro_f1], dim=1).tolist()]
