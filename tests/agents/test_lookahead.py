"""Greedy look-ahead, against the same search with environments that are played anew from their start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.lookahead import UNIFORM, Config, LookAhead, Rule
from l2a_agents.rollout import training_seeds
from l2a_agents.rule import BOUND, apply_rule, positions
from l2a_agents.selector import MakeEnv, Spaces

from l2a_gym.envs.toy import ToyEnv

EPISODE = 1 + 10 * 2
FIRST = 1 + 10 * 2 * 14
"""Units of a first episode: 13 simple rules and a perturbed one in each step; the best so far is one of the simple."""


def trained(spaces: Spaces, make: MakeEnv, budget: int, seed: int = 0) -> LookAhead:
    selector = LookAhead(spaces)
    selector.train(make, budget, seed, lambda *_: None)
    return selector


def schedule(selector: LookAhead) -> list[Rule]:
    return [selector.best(t) for t in range(10)]


def gain(spaces: Spaces, seed: int, path: list[Rule]) -> float:
    """Of the last step of an episode that is played from its start under these rules."""
    env = ToyEnv()
    observation, _ = env.reset(seed=seed)
    for rule in path:
        observation, reward, *_ = env.step(apply_rule(np.array(rule), observation, positions(spaces)))
    return float(reward)


def by_brute_force(spaces: Spaces, seed: int, episodes: int) -> list[dict[Rule, list[float]]]:
    """The table after so many episodes."""
    rng, tried = np.random.default_rng(seed), [{} for _ in range(10)]  # type: ignore[var-annotated]
    for episode in range(episodes):
        path: list[Rule] = []
        for each in tried:
            best = max(each, key=lambda rule, each=each: np.mean(each[rule]), default=(0.0,) * 6)
            near = tuple(np.clip(np.array(best) + Config().sigma * rng.normal(size=6), -BOUND, BOUND).tolist())
            rules = [*dict.fromkeys([(0.0,) * 6, *LookAhead(spaces).single, best, near])]
            gains = [gain(spaces, training_seeds(seed)[episode % 4], [*path, rule]) for rule in rules]
            for rule, own in zip(rules, gains, strict=True):
                each.setdefault(rule, []).append(own - gains[0])
            path.append(max(rules, key=lambda rule, each=each: np.mean(each[rule])))
    return tried


def test_each_column_is_tried_alone_in_both_directions(spaces: Spaces) -> None:
    assert {tuple(np.array(rule) / 3) for rule in LookAhead(spaces, Config(size=3.0)).single} == {
        tuple(row) for row in np.concatenate([np.eye(6), -np.eye(6)]).tolist()
    }
    assert UNIFORM == (0,) * 6


def test_the_table_is_that_of_a_search_by_brute_force(make_toy: MakeEnv, spaces: Spaces) -> None:
    selector = trained(spaces, make_toy, 3 * FIRST)
    expected = by_brute_force(spaces, 0, 3)
    for found, each in zip(selector.tried, expected, strict=True):
        assert found.keys() == each.keys()
        for rule, advantages in each.items():
            np.testing.assert_allclose(found[rule], advantages, atol=1e-12)
    best = [max(each, key=lambda rule, each=each: np.mean(each[rule])) for each in expected]
    assert schedule(selector) == best
    assert len(set(best)) > 1


def test_the_rule_of_the_step_is_read_off_the_progress(make_toy: MakeEnv, spaces: Spaces) -> None:
    selector = trained(spaces, make_toy, FIRST)
    env = ToyEnv()
    observation, _ = env.reset(seed=9)
    for t in range(10):
        expected = apply_rule(np.array(selector.best(t)), observation, positions(spaces))
        assert np.array_equal(selector.act(observation), expected)
        observation, *_ = env.step(expected)
    last = apply_rule(np.array(selector.best(9)), observation, positions(spaces))
    assert np.array_equal(selector.act(observation), last)  # after the end


def test_in_an_episode_of_another_length_the_schedule_is_stretched(make_toy: MakeEnv, spaces: Spaces) -> None:
    selector = trained(spaces, make_toy, FIRST)
    env = ToyEnv(steps=20)
    observation, _ = env.reset(seed=9)
    for t in range(20):
        expected = apply_rule(np.array(selector.best(t // 2)), observation, positions(spaces))
        if t % 2 == 0:
            assert np.array_equal(selector.act(observation), expected)
        observation, *_ = env.step(expected)


class Counted(gym.Wrapper[Any, Any, Any, Any]):
    """Counts what it and its forks were asked for, and which of them are open."""

    def __init__(self, env: gym.Env[Any, Any], counts: dict[str, int]) -> None:
        super().__init__(env)
        self.counts = counts
        counts["made"] += 1
        counts["open"] += 1
        counts["most"] = max(counts["most"], counts["open"])

    def reset(self, **options: Any) -> Any:
        self.counts["units"] += 1
        return super().reset(**options)

    def step(self, action: Any) -> Any:
        self.counts["units"] += 2
        return super().step(action)

    def close(self) -> None:
        self.counts["open"] -= 1
        super().close()

    def fork(self) -> Counted:
        return Counted(self.env.get_wrapper_attr("fork")(), self.counts)


@pytest.mark.parametrize("budget", [1, 2, FIRST - 1, FIRST, 2 * FIRST + 100])
def test_every_unit_of_every_fork_is_reported_and_every_fork_closed(spaces: Spaces, budget: int) -> None:
    counts = dict.fromkeys(("made", "open", "most", "units"), 0)

    class Counting(MakeEnv):
        def __call__(self, **options: Any) -> Any:
            return Counted(super().__call__(**options), counts)

    spent: list[int] = []
    LookAhead(spaces).train(Counting("l2a_gym:L2A-Toy-v0"), budget, 0, lambda units, _: spent.append(units))
    assert spent[-1] == counts["units"]
    assert budget <= spent[-1] < budget + 2 * 15  # the step in which it is spent is tried to its end
    assert counts["open"] == 0
    assert counts["most"] <= 3
    assert len(spent) == -(-budget // FIRST)


def test_it_learns_a_schedule(spaces: Spaces, share: Any) -> None:
    noisy = MakeEnv("l2a_gym:L2A-Toy-v0", noise=0.01)
    assert share(LookAhead(spaces)) < 0.1
    for seed in range(2):
        assert share(trained(spaces, noisy, 2 * FIRST, seed)) > 0.85


def test_training_goes_on_with_the_saved_table(
    make_toy: MakeEnv, spaces: Spaces, observation: dict[str, Any], tmp_path: Path
) -> None:
    selector, again = trained(spaces, make_toy, FIRST), LookAhead(spaces)
    selector.save(tmp_path)
    again.load(tmp_path)
    assert again.tried == selector.tried
    assert np.array_equal(again.act(observation), selector.act(observation))
    assert not np.array_equal(again.act(observation), LookAhead(spaces).act(observation))
    again.train(make_toy, FIRST, 1, lambda *_: None)
    for before, after in zip(selector.tried, again.tried, strict=True):
        for rule in (UNIFORM, *selector.single):
            assert after[rule][:-1] == before[rule]
