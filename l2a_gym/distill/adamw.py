"""AdamW of many students at a time, each with its own learning rate and number of updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPS = 1e-8


@dataclass(frozen=True)
class Moments:
    """What the optimizer keeps of a tensor of E students' parameters.

    Attributes:
        first: (E, ...) running mean of the gradients.
        second: (E, ...) running mean of their squares.
    """

    first: Tensor
    second: Tensor

    @staticmethod
    def zeros_like(parameters: Tensor) -> Moments:
        """Of parameters that have not learnt yet."""
        return Moments(torch.zeros_like(parameters), torch.zeros_like(parameters))


def adamw_(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Sequence[Moments],
    updates: Tensor,
    rate: Tensor,
    weight_decay: float,
    clip: float,
) -> None:
    """An update of AdamW (Loshchilov & Hutter, 2019) in place, after clipping each student's gradient by its norm.

    It gives what ``torch.nn.utils.clip_grad_norm_`` and ``torch.optim.AdamW`` give each student alone, up to rounding.
    The operations are plain ones, so that a compiler makes one pass over each tensor of them.

    Args:
        parameters: tensors (E, ...).
        gradients: one for each, of the same shape.
        moments: of each.
        updates: (E,) float32, each student's updates so far, this one included.
        rate: (E,) learning rates.
        weight_decay: decoupled, times the rate.
        clip: largest norm of a student's gradients.
    """
    squares = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
    scale = (clip / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1)
    first, second = (1 - beta**updates for beta in BETAS)
    for parameter, gradient, moment in zip(parameters, gradients, moments, strict=True):
        own = (-1, *[1] * (parameter.ndim - 1))
        clipped = gradient * scale.view(own)
        moment.first.lerp_(clipped, 1 - BETAS[0])
        moment.second.mul_(BETAS[1]).addcmul_(clipped, clipped, value=1 - BETAS[1])
        step = moment.first / (moment.second.sqrt() / second.sqrt().view(own) + EPS)
        parameter.mul_(1 - weight_decay * rate.view(own)).sub_((rate / first).view(own) * step)
