"""Sequential halving: which of several arms gains most, by episodes from the same seeds.

Karnin et al. (2013), "Almost optimal exploration in multi-armed bandits". For n arms the budget has ceil(log2 n) equal
parts. In each part all arms that are left play episodes from the same new seeds, until the part is spent; then the
better half stays, by the mean over all seeds so far. So a small budget tries every arm, and most of it goes to those
that are hard to tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import ceil, log2

import numpy as np

Arm = Callable[[int], tuple[float, int]]
"""Plays an episode from a seed; returns its gain and what it cost."""
Told = Callable[[int, dict[str, float]], None]
"""Called as ``told(spent, means)`` after each round, with the mean gains of the arms that were left."""


def halve(arms: Mapping[str, Arm], budget: int, seeds: Iterator[int], told: Told) -> str:
    """The name of the arm with the highest mean gain when the budget is spent; of equals the first.

    Args:
        arms: by name.
        budget: in units; every arm plays once whatever it is.
        seeds: of the rounds.
        told: hears of each round.
    """
    left: dict[str, list[float]] = {name: [] for name in arms}
    total, episodes, parts = 0, 0, max(1, ceil(log2(len(arms))))
    for part in range(1, parts + 1):
        while not episodes or total + len(left) * total / episodes / 2 <= budget * part / parts:
            seed = next(seeds)
            for name, gains in left.items():
                gain, cost = arms[name](seed)
                gains.append(gain)
                total, episodes = total + cost, episodes + 1
            told(total, {name: float(np.mean(gains)) for name, gains in left.items()})
        order = sorted(left, key=lambda name: -float(np.mean(left[name])))
        kept = order[: ceil(len(order) / 2)] if part < parts else order[:1]
        left = {name: left[name] for name in arms if name in kept}
    return next(iter(left))
