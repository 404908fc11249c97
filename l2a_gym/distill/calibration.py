"""Calibrated probabilities: temperature scaling, and the expected calibration error.

Guo et al. (2017), *On Calibration of Modern Neural Networks*.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURES = torch.logspace(-2, 2, 81)
"""What logits may be divided by."""


def temperature(logits: Tensor, label: Tensor) -> float:
    """What logits (n, C) are divided by to have the lowest loss: the mean negative log-likelihood of labels (n,)."""
    losses = torch.stack([F.cross_entropy(logits / each, label) for each in TEMPERATURES.tolist()])
    return float(TEMPERATURES[int(losses.argmin())])


def divide_logits(layer: torch.nn.Module, by: float) -> None:
    """Divide the logits of a linear layer, by its weights: whatever loads them has calibrated probabilities."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.div_(by)


def calibration_error(probabilities: Tensor, label: Tensor, bins: int = 15) -> float:
    """Expected calibration error: the mean distance, in 0 .. 1, of confidence and accuracy.

    Texts are binned by the probability of their likeliest class, in bins of equal width: the sum over bins b of
    n_b / n * |accuracy_b - mean confidence_b|.

    Args:
        probabilities: (n, C).
        label: (n,) int64.
        bins: their number.
    """
    confidence, guess = probabilities.double().max(1)
    place = (confidence * bins).long().clamp(max=bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64).index_add(0, place, (guess == label).double() - confidence)
    return float(gaps.abs().sum() / len(label))
