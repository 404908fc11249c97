"""Calibrated probabilities: temperature scaling, and the expected calibration error.

Guo et al. (2017), *On Calibration of Modern Neural Networks*.
"""

from __future__ import annotations

from math import exp, log

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

LARGEST = 20.0
"""Temperatures are from 1 / 20 to 20: on few texts, all of them right, none would be low enough."""


def best_temperature(logits: Tensor, label: Tensor) -> float:
    """The temperature T at which softmax(logits / T) gives labels (n,) the lowest mean negative log-likelihood.

    Args:
        logits: (n, C) of texts that the model has not learnt from.
        label: (n,) int64.
    """
    logits = logits.double()

    def loss(log_temperature: float) -> float:  # convex in 1 / T, so it has one minimum
        return float(F.cross_entropy(logits / exp(log_temperature), label))

    return exp(minimize_scalar(loss, bounds=(-log(LARGEST), log(LARGEST)), method="bounded").x)


def divide_logits(student: PreTrainedModel, temperature: float) -> None:
    """Make a student's logits those divided by the temperature, by the weights of its last layer, ``classifier``."""
    last = student.get_submodule("classifier")
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.div_(temperature)


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
