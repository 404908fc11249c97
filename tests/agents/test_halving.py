"""Sequential halving: who is left when, what is spent, and that the best arm of a noisy race most often wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from l2a_agents.halving import Arm, halve


def played(gains: dict[str, float], budget: int, cost: int = 10) -> tuple[str, Counter[str], list[tuple[int, int]]]:
    """The winner, how often each arm played, and what was told: units and the number of arms."""
    times = Counter[str]()

    def arm(name: str) -> Arm:
        def play(seed: int) -> tuple[float, int]:
            times[name] += 1
            return gains[name], cost

        return play

    told: list[tuple[int, int]] = []
    winner = halve(
        {name: arm(name) for name in gains}, budget, count(), lambda spent, means: told.append((spent, len(means)))
    )
    return winner, times, told


def test_each_part_ends_where_half_of_a_round_no_longer_fits() -> None:
    winner, times, told = played({"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.2}, budget=160)
    assert winner == "b"
    assert told == [(40, 4), (80, 4), (100, 2), (120, 2), (140, 2), (160, 2)]
    assert times == {"a": 2, "b": 6, "c": 6, "d": 2}


def test_whatever_the_budget_every_arm_plays_once() -> None:
    winner, times, _ = played({"a": 0.1, "b": 0.4, "c": 0.3}, budget=0)
    assert (winner, [*times.values()]) == ("b", [1, 1, 1])


def test_of_equals_the_first_wins_and_a_single_arm_wins() -> None:
    assert played({"b": 0.2, "a": 0.2}, budget=100)[0] == "b"
    assert played({"a": -1.0}, budget=25)[0] == "a"


@pytest.mark.parametrize("budget", [100, 400])
def test_what_is_spent_is_within_half_a_round_of_the_budget(budget: int) -> None:
    for arms in range(2, 8):
        *_, (spent, _) = played({str(i): float(i) for i in range(arms)}, budget)[2]
        assert max(budget, 10 * arms) - 20 <= spent <= max(budget, 10 * arms) + 10


def test_a_larger_budget_finds_the_best_of_noisy_arms_more_often() -> None:
    def wins(budget: int) -> int:
        def arm(i: int, rng: np.random.Generator) -> Callable[[int], tuple[float, int]]:
            return lambda seed: (0.3 * (i == 0) + float(rng.normal()), 1)

        return sum(
            halve({i: arm(i, np.random.default_rng([i, run])) for i in range(4)}, budget, count(), lambda *_: None) == 0  # type: ignore[misc, comparison-overlap]
            for run in range(100)
        )

    assert wins(400) > wins(8) + 15
