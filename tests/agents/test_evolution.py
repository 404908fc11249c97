"""CMA-ES over static rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from l2a_agents.evolution import CMAES, population
from l2a_agents.selector import MakeEnv, Spaces

EPISODE = 1 + 10 * 2
"""What an episode of the toy costs."""


def test_a_generation_fills_the_environments() -> None:
    assert [population(6, number) for number in (1, 2, 4, 16)] == [9, 10, 12, 16]


def test_it_finds_a_good_rule(make_toy: MakeEnv, spaces: Spaces, share: Any) -> None:
    selector = CMAES(spaces)
    before = share(selector)
    selector.train(make_toy, EPISODE * 150, 0, lambda *_: None)
    assert share(selector) > max(0.9, before + 0.2)


@pytest.mark.parametrize("generations", [1, 3])
def test_training_ends_with_the_generation_that_spends_the_budget(
    make_toy: MakeEnv, spaces: Spaces, generations: int
) -> None:
    spent: list[int] = []
    CMAES(spaces).train(make_toy, 10 * EPISODE * generations, 0, lambda units, _: spent.append(units), num_envs=2)
    assert spent == [10 * EPISODE * (i + 1) for i in range(generations)]


def test_what_was_saved_acts_the_same(
    make_toy: MakeEnv, spaces: Spaces, observation: dict[str, Any], tmp_path: Path
) -> None:
    selector, again = CMAES(spaces), CMAES(spaces)
    selector.train(make_toy, EPISODE * 18, 0, lambda *_: None)
    selector.save(tmp_path)
    again.load(tmp_path)
    assert again.sigma == selector.sigma != CMAES(spaces).sigma
    assert np.array_equal(again.act(observation), selector.act(observation))
    assert not np.array_equal(again.act(observation), CMAES(spaces).act(observation))
