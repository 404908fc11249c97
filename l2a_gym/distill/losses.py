"""Distillation losses, one value a text."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


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


def distillation_loss(student: Tensor, label: Tensor, teacher: Tensor, alpha: float, temperature: float) -> Tensor:
    """(1 - alpha) * CE(label) + alpha * T^2 * KL(teacher || student), (n,)."""
    hard = F.cross_entropy(student, label, reduction="none")
    return (1 - alpha) * hard + alpha * soft_target_loss(student, teacher, temperature)
