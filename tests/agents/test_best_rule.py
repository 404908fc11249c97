"""The best of the fixed rules: which it finds on the toy, and what it spends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.best_rule import BestRule
from l2a_agents.selector import MakeEnv, Spaces, Wrappers

EPISODE = 1 + 10 * 2
RULES = 12  # on the toy, which has two sources


@pytest.fixture
def toy() -> MakeEnv:
    return MakeEnv("l2a_gym:L2A-Toy-v0", noise=0.01, **BestRule.env_options)


def trained(toy: MakeEnv, budget: int, seed: int = 0) -> tuple[BestRule, list[tuple[int, dict[str, float]]]]:
    selector, logged = BestRule(Spaces.from_env(toy())), []
    selector.train(toy, budget, seed, lambda spent, values: logged.append((spent, values)))
    return selector, logged


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_rule_that_is_best_on_the_toy(toy: MakeEnv, seed: int) -> None:
    """Usefulness is mostly that the all-data teacher agrees."""
    selector, logged = trained(toy, 40 * EPISODE, seed)
    assert selector.name == "all-data-agrees"
    assert 40 * EPISODE <= logged[-1][0] < 42 * EPISODE  # the last two rules play from the same seed


def test_half_of_the_rules_stay_and_those_left_play_from_the_same_seeds(toy: MakeEnv) -> None:
    counted = Counter[int | None]()

    class Counted(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            counted[seed] += 1
            return super().reset(seed=seed, options=options)

    trained(toy.wrapped(Wrappers(Counted, Counted)), 40 * EPISODE)  # type: ignore[arg-type]
    # parts end at 10, 20, 30 and 40 episodes, and a round is played where at least half of it fits
    assert [*counted.values()] == [12, 6, 3, 3, 3, 3, 2, 2, 2, 2, 2]


def test_a_small_budget_tries_every_rule_once(toy: MakeEnv) -> None:
    _, logged = trained(toy, 1)
    assert len(logged) == 1
    spent, values = logged[0]
    assert spent == RULES * EPISODE
    assert len([name for name in values if name.startswith("gain/")]) == RULES


def test_what_is_left_of_a_budget_undoes_nothing(toy: MakeEnv, tmp_path: Path) -> None:
    selector, _ = trained(toy, 40 * EPISODE)
    selector.save(tmp_path)
    other, logged = BestRule(Spaces.from_env(toy())), list[int]()
    other.load(tmp_path)
    other.train(toy, RULES * EPISODE - 1, 1, lambda spent, _: logged.append(spent))
    assert (other.name, logged) == ("all-data-agrees", [])
    other.train(toy, RULES * EPISODE, 1, lambda spent, _: logged.append(spent))
    assert logged == [RULES * EPISODE]


def test_ties_go_to_uniform() -> None:
    class Nowhere(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            observation, _, *rest = super().step(action)
            return observation, 0.0, *rest

    toy = MakeEnv("l2a_gym:L2A-Toy-v0", **BestRule.env_options).wrapped(Wrappers(Nowhere, Nowhere))  # type: ignore[arg-type]
    assert trained(toy, 40 * EPISODE)[0].name == "uniform"


def test_it_acts_by_its_rule_and_asks_for_how_its_students_learn(toy: MakeEnv, tmp_path: Path) -> None:
    env = toy()
    observation = env.reset(seed=0)[0]
    selector = BestRule(Spaces.from_env(env))
    assert selector.env_options == BestRule.env_options
    assert selector.act(observation).tolist() == [1] * 32
    (tmp_path / "best-rule.json").write_text('{"rule": "trust-teacher", "round": 0}', encoding="utf-8")
    selector.load(tmp_path)
    assert selector.env_options == {**BestRule.env_options, "distillation": {"alpha": 1.0, "temperature": 1.0}}
    (tmp_path / "best-rule.json").write_text('{"rule": "doubt", "round": 0}', encoding="utf-8")
    selector.load(tmp_path)
    assert selector.env_options == {**BestRule.env_options, "action": "trust"}
    assert selector.act(observation).shape == (64,)
    (tmp_path / "best-rule.json").write_text('{"rule": "without-far", "round": 0}', encoding="utf-8")
    selector.load(tmp_path)
    far = observation["candidates"][:, selector.spaces.column("domain=far")]
    assert 0 < far.sum() < 32
    assert np.array_equal(selector.act(observation), 1 - far)
    assert selector.env_options == BestRule.env_options
