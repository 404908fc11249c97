"""Confident learning: which given labels are probably wrong, by what a classifier says that has not learnt from them.

Northcutt et al. (2021), "Confident learning: estimating uncertainty in dataset labels". With p the probabilities of a
text and t the thresholds of the classes:

    t_k = mean of p_k over texts with the label k
    a text counts for the classes k with p_k >= t_k, or where there are several, for its likeliest class

Its label is suspected where it counts for another class, off the diagonal of the confident joint.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

ROUNDING = 1e-6
"""By so much a mean of alike probabilities may be above each of them."""


def thresholds(probability: Floats, label: NDArray[np.int64]) -> Floats:
    """t (C,) of texts with probabilities (n, C) and labels (n,); infinite for a class that none of them has."""
    classes = range(probability.shape[1])
    return np.array([probability[label == k, k].mean() if (label == k).any() else np.inf for k in classes])


def suspected(probability: Floats, label: NDArray[np.int64], threshold: Floats) -> NDArray[np.bool_]:
    """Which labels (n,) are suspected, by probabilities (n, C) and the classes' thresholds (C,)."""
    confident = probability >= threshold - ROUNDING
    counts_for = np.where(confident.sum(1) > 1, probability.argmax(1), confident.argmax(1))
    return confident.any(1) & (counts_for != label)
