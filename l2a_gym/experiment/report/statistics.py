"""Statistics over seeds and tasks: a mean with its interval, paired tests, and what runs had reached by then.

Differences of two methods are an array (R, T): R seeds, each a whole training of both, on T tasks. The bootstrap is
stratified by task as in Agarwal et al. (2021), *Deep RL at the Edge of the Statistical Precipice*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Differences = NDArray[np.float64]
"""(R, T), finite."""


@dataclass(frozen=True)
class Interval:
    """A statistic and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def standard_error(accuracy: float, texts: int) -> float:
    """Of an accuracy on so many texts, sqrt(p (1 - p) / n); p is kept a text away from 0 and 1."""
    p = min(max(accuracy, 1 / (texts + 2)), 1 - 1 / (texts + 2))
    return sqrt(p * (1 - p) / texts)


def bootstrap_mean(
    differences: Differences, rng: np.random.Generator, samples: int = 2000, level: float = 0.95
) -> Interval:
    """Mean over tasks of means over seeds, with its percentile interval by a stratified bootstrap.

    Each sample draws R seeds with repetition, task by task. A single seed says nothing of chance: its bounds are nan.

    Args:
        differences: (R, T).
        rng: of the draws.
        samples: their number.
        level: of the interval.
    """
    runs, tasks = differences.shape
    mean = float(differences.mean())
    if runs < 2:
        return Interval(mean, float("nan"), float("nan"))
    drawn = differences[rng.integers(runs, size=(samples, runs, tasks)), np.arange(tasks)].mean(axis=(1, 2))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def sign_flip(differences: NDArray[np.float64], rng: np.random.Generator, samples: int = 2**16) -> float:
    """Two-sided p-value of a mean of zero, by flipping the signs of paired differences (n,).

    Exact where there are at most ``samples`` ways to flip (n <= 16), else of that many draws. All zero gives 1.
    Differences are rounded to 12 digits, so that sums that are equal but for the order of their parts are ties.
    """
    found = stats.permutation_test(
        (differences.round(12),), np.mean, permutation_type="samples", vectorized=True, n_resamples=samples, rng=rng
    )
    return float(found.pvalue)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """P-values of several tests, adjusted so that the chance of any false rejection stays below the level (Holm)."""
    ordered = sorted(p, key=lambda name: p[name])
    adjusted: dict[str, float] = {}
    largest = 0.0
    for i, name in enumerate(ordered):
        largest = max(largest, min(1.0, (len(p) - i) * p[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p}


def anytime(
    spent: Sequence[NDArray[np.float64]], values: Sequence[NDArray[np.float64]], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What runs had at common budgets: the last value reported by then, nan before the first; (R, len(grid)).

    Args:
        spent: budgets at which each run reported, ascending.
        values: what it reported.
        grid: budgets, ascending.
    """
    rows = []
    for when, what in zip(spent, values, strict=True):
        last = np.searchsorted(when, grid, side="right") - 1
        rows.append(np.where(last >= 0, np.asarray(what, dtype=np.float64)[np.maximum(last, 0)], np.nan))
    return np.array(rows)
