"""What the student is worth: metrics of its outputs on a labelled set."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.envs.episode import Scores


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
    truth, predicted = F.one_hot(label, classes), F.one_hot(guess, classes)
    hit = (truth * right[..., None]).sum(1).double()
    either = (truth.sum(0) + predicted.sum(1)).double()
    macro_f1 = (2 * hit / either.clamp(min=1)).mean(1)
    return [Scores(*row) for row in torch.stack([nll, right.double().mean(1), macro_f1], dim=1).tolist()]
