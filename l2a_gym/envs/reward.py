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
    guess = logits.argmax(1)
    classes = logits.shape[1]
    hit = torch.bincount(label[guess == label], minlength=classes).double()
    either = (torch.bincount(label, minlength=classes) + torch.bincount(guess, minlength=classes)).double()
    return Scores(
        nll=float(F.cross_entropy(logits, label)),
        accuracy=float((guess == label).double().mean()),
        macro_f1=float((2 * hit / either.clamp(min=1)).mean()),
    )
