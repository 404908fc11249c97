"""Distillation losses: one value a text, and that of an update."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.distill.config import Distillation


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student) of distributions softened by T (Hinton et al., 2015).

    Args:
        student: (n, C) logits.
        teacher: (n, C) logits.
        temperature: T > 0.

    Returns:
        (n,) losses in nats, >= 0.
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(1)


def distillation_loss(
    student: Tensor, label: Tensor, teacher: Tensor, alpha: float | Tensor, temperature: float
) -> Tensor:
    """(1 - alpha) * CE(label) + alpha * T^2 * KL(teacher || student), (n,); alpha is one for all, or (n,)."""
    hard = F.cross_entropy(student, label, reduction="none")
    return (1 - alpha) * hard + alpha * soft_target_loss(student, teacher, temperature)


def update_loss(
    student: Tensor, label: Tensor, teacher: Tensor, weights: Tensor, alphas: Tensor | None, config: Distillation
) -> Tensor:
    """The loss of an update on n texts, m candidates and then the anchors, of one student or of several (...).

    Args:
        student: (..., n, C) logits.
        label: (..., n).
        teacher: (..., n, C) logits.
        weights: (..., m) of the candidates, see :func:`shares_of`.
        alphas: (..., m) the candidates' own alphas; None: all have ``config.alpha``, as anchors always do.
        config: how students learn.

    Returns:
        (...) losses in nats.
    """
    anchors = label.shape[-1] - weights.shape[-1]
    alpha = config.alpha if alphas is None else F.pad(alphas, (0, anchors), value=config.alpha).flatten()
    texts = student.flatten(0, -2), label.flatten(), teacher.flatten(0, -2)
    losses = distillation_loss(*texts, alpha, config.temperature).view_as(label)
    return (losses * shares_of(weights, anchors, config.anchor_share)).sum(-1)


def shares_of(weights: Tensor, anchors: int, anchor_share: float) -> Tensor:
    """Each text's share of an update's loss: candidates' weights (..., m) to shares (..., m + anchors).

    They sum to one, so weights can't change the step's size.
    """
    total = weights.sum(-1, keepdim=True)
    share = torch.where(total > 0, anchor_share, 1.0)
    chosen = (1 - share) * weights / total.clamp(min=torch.finfo(weights.dtype).tiny)
    return torch.cat([chosen, (share / anchors).expand(*weights.shape[:-1], anchors)], dim=-1)
