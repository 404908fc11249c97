"""Distillation losses, one value a text.

The losses of :data:`EXTRA_LOSSES` compare what a student and a teacher compute inside: states of n texts, padded to T
tokens, of which only the first ``length`` of each text count. None has a unit but the two that are KL divergences,
in nats.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

_SMALLEST = 1e-12
"""What a student's probability counts as at least, so that its logarithm is finite."""


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


def hidden_loss(student: Tensor, teacher: Tensor, length: Tensor) -> Tensor:
    """Mean over tokens and width of (student - teacher)^2 (hidden states in TinyBERT, Jiao et al., 2020).

    Args:
        student: (n, T, H) hidden states or embeddings, already projected to the teacher's width.
        teacher: (n, T, H) of the teacher.
        length: (n,) tokens of each text.

    Returns:
        (n,) losses, >= 0.
    """
    return _zero_padding(student - teacher, length).square().mean(2).sum(1) / length


def attention_mse(student: Tensor, teacher: Tensor, length: Tensor) -> Tensor:
    """Mean over pairs of tokens of (student - teacher)^2 (attention in TinyBERT, Jiao et al., 2020).

    TinyBERT compares scores before the softmax, head by head. Here they are probabilities, averaged over the heads,
    because a student and its teacher differ in the number of heads.

    Args:
        student: (n, T, T) attention probabilities averaged over heads: queries, then keys.
        teacher: (n, T, T) of the teacher.
        length: (n,) tokens of each text.

    Returns:
        (n,) losses, from 0 to 2 / length.
    """
    return _zero_padding(student - teacher, length, axes=2).square().sum((1, 2)) / length**2


def attention_kl(student: Tensor, teacher: Tensor, length: Tensor) -> Tensor:
    """Mean over query tokens of KL(teacher || student) (attention in MiniLM, Wang et al., 2020).

    MiniLM compares head by head; here both are averaged over their heads, as in :func:`attention_mse`. The teacher's
    rows are scaled to sum to one again, which half precision has changed a little.

    Args:
        student: (n, T, T) attention probabilities averaged over heads: queries, then keys.
        teacher: (n, T, T) of the teacher.
        length: (n,) tokens of each text.

    Returns:
        (n,) losses in nats, from 0 to 27.7: a student's probability counts as 1e-12 at least.
    """
    q = _zero_padding(student, length, axes=2).clamp(min=_SMALLEST)
    p = _zero_padding(teacher, length, axes=2)
    p = p / p.sum(2, keepdim=True).clamp(min=_SMALLEST)
    return (torch.xlogy(p, p) - p * q.log()).sum((1, 2)) / length


def patience_loss(student: Tensor, teacher: Tensor, length: Tensor) -> Tensor:
    """|| s / ||s|| - t / ||t|| ||^2 of the [CLS] states s and t (patient distillation, Sun et al., 2019).

    Args:
        student: (n, H) states of the first token, already projected to the teacher's width.
        teacher: (n, H) of the teacher.
        length: (n,) tokens of each text; not looked at, the first token is never padding.

    Returns:
        (n,) losses, from 0 to 4.
    """
    return (F.normalize(student, dim=1) - F.normalize(teacher, dim=1)).square().sum(1)


def relation_loss(student: Tensor, teacher: Tensor, length: Tensor, heads: int) -> Tensor:
    """Mean over heads and tokens of KL(R(teacher) || R(student)) (value relation in MiniLM, Wang et al., 2020).

    R(V) = softmax(V V^T / sqrt(d)) says how alike the values of a text's tokens are. Both sides are cut into the same
    number of relation heads, so their widths d may differ and nothing is projected.

    Args:
        student: (n, T, H) values of the last layer, all heads side by side.
        teacher: (n, T, H') of the teacher.
        length: (n,) tokens of each text.
        heads: relation heads; divides H and H'.

    Returns:
        (n,) losses in nats, >= 0.
    """
    own, goal = (_log_relation(values, length, heads) for values in (student, teacher))
    return F.kl_div(own, goal, reduction="none", log_target=True).sum((2, 3)).mean(1) / length


def _log_relation(values: Tensor, length: Tensor, heads: int) -> Tensor:
    """Logarithms of the relation (n, heads, T, T): queries, then keys; 0 where either is padding."""
    v = _zero_padding(values, length).unflatten(2, (heads, -1)).transpose(1, 2)
    scores = v @ v.transpose(2, 3) / sqrt(v.shape[-1])
    real = _real(length, values.shape[1])
    relation = scores.masked_fill(~real[:, None, None, :], -torch.inf).log_softmax(3)
    return relation.masked_fill(~(real[:, None, :, None] & real[:, None, None, :]), 0)


def _real(length: Tensor, longest: int) -> Tensor:
    """Which of T tokens are no padding, (n, T)."""
    return torch.arange(longest, device=length.device) < length[:, None]


def _zero_padding(states: Tensor, length: Tensor, axes: int = 1) -> Tensor:
    """States (n, T, ...), zero where one of their ``axes`` token axes is at padding: no gradient comes from there."""
    for axis in range(1, axes + 1):
        shape = [len(length), *[1] * (states.ndim - 1)]
        shape[axis] = states.shape[axis]
        states = states.masked_fill(~_real(length, states.shape[axis]).reshape(shape), 0)
    return states


EXTRA_LOSSES: dict[str, Callable[..., Tensor]] = {
    "hidden": hidden_loss,
    "attention": attention_mse,
    "embedding": hidden_loss,
    "patience": patience_loss,
    "relation": relation_loss,
}
"""The losses of layers by name."""

ATTENTION_LOSSES: dict[str, Callable[..., Tensor]] = {"mse": attention_mse, "kl": attention_kl}
"""What ``attention`` can be."""
