"""Controls: rewards that say nothing of actions teach nothing, and what is frozen stays as it is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.controls import RewardShuffler, ShuffledEnv
from l2a_agents.registry import make_selector, selector_class
from l2a_agents.rollout import rollout
from l2a_agents.selector import MakeEnv, Spaces

from l2a_gym.envs.toy import ToyEnv

BUDGET = 30 * 21
SPACES = Spaces.from_env(ToyEnv())


def at(progress: float) -> Any:
    student = np.zeros(7, dtype=np.float32)
    student[SPACES.student_columns.index("progress")] = progress
    return student


def test_a_reward_is_swapped_for_one_of_the_same_step() -> None:
    shuffler = RewardShuffler(np.random.default_rng(0), SPACES.progress)
    for number in range(1, 200):
        assert 1 <= abs(shuffler.swap(float(number), at(0.5))) <= number
    assert abs(shuffler.swap(1000.0, at(0.7))) == 1000.0


def test_swapped_rewards_keep_their_size_and_say_nothing_of_their_own() -> None:
    rng = np.random.default_rng(1)
    given = rng.exponential(size=4000)
    shuffler = RewardShuffler(np.random.default_rng(0), SPACES.progress)
    taken = np.array([shuffler.swap(float(reward), at(0.1)) for reward in given])
    assert abs(taken.mean()) < 0.1
    assert np.abs(taken).mean() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(given, taken)[0, 1]) < 0.06
    first = [
        RewardShuffler(np.random.default_rng(seed), SPACES.progress).swap(1.0, at(0.1)) for seed in range(1000)
    ]  # nothing else to draw yet
    assert abs(np.mean(first)) < 0.1


def test_shuffled_rewards_do_not_teach(make_toy: MakeEnv, spaces: Spaces) -> None:
    """Mean return over 8 trainings; the honest learner is far above uniform weights, the control is not above."""

    def gains(name: str) -> list[float]:
        found = []
        for seed in range(8):
            selector = make_selector(name, spaces, prior="")
            selector.train(make_toy, BUDGET, seed, lambda *_: None)
            env = ToyEnv()
            total = sum(step.reward for step in rollout(env, selector.act, 1000 + seed))
            uniform = sum(step.reward for step in rollout(env, lambda _: np.ones(32, dtype=np.float32), 1000 + seed))
            found.append(total - uniform)
        return found

    honest, control = gains("pgpe"), gains("pgpe@shuffled")
    assert np.mean(honest) > 0.1
    assert np.mean(control) < 2 * np.std(control) / np.sqrt(20)


def test_candidates_show_the_columns_of_others(make_toy: MakeEnv) -> None:
    env = ShuffledEnv(make_toy(), RewardShuffler(np.random.default_rng(0), SPACES.progress))
    shown, true = env.reset(seed=0)[0], make_toy().reset(seed=0)[0]
    moved = (shown["candidates"] != true["candidates"]).any(axis=1)
    assert moved.mean() > 0.8
    assert sorted(map(tuple, shown["candidates"])) == sorted(map(tuple, true["candidates"]))
    assert all(np.array_equal(shown[name], true[name]) for name in ("student", "domains"))


def test_a_control_acts_without_knowing_the_candidates(spaces: Spaces, observation: dict[str, Any]) -> None:
    """Its weights are those of the selector, for other candidates, and the same ones in each episode."""
    honest, control = (selector_class(name)(spaces) for name in ("all-data-agrees", "all-data-agrees@shuffled"))
    beginning, _ = ToyEnv().reset(seed=0)
    assert np.array_equal(control.act(beginning), control.act(beginning))
    first = control.act(observation)
    assert not np.array_equal(first, honest.act(observation))
    assert first.sum() == honest.act(observation).sum()


def test_forks_share_the_bag(make_toy: MakeEnv) -> None:
    env = ShuffledEnv(make_toy(), RewardShuffler(np.random.default_rng(0), SPACES.progress))
    env.reset(seed=0)
    twin = env.fork()
    assert isinstance(twin, gym.Wrapper)
    for each in (env, twin):
        each.step(np.ones(32, dtype=np.float32))
    assert [len(rewards) for rewards in env.shuffler.rewards.values()] == [2]


def test_frozen_is_the_start(make_toy: MakeEnv, spaces: Spaces, observation: dict[str, Any]) -> None:
    selector = make_selector("ppo@frozen", spaces, prior="")
    selector.train(make_toy, BUDGET, 0, lambda *_: pytest.fail("it trains"))
    assert np.array_equal(selector.act(observation), make_selector("ppo", spaces, prior="").act(observation))


def test_an_unknown_control_names_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown control 'shufled' of 'ppo': valid are shuffled, frozen"):
        selector_class("ppo@shufled")
