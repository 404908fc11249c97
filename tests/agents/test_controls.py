"""Controls: rewards that say nothing of actions teach nothing, and what is frozen stays as it is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.controls import Bag, ShuffledRewards
from l2a_agents.registry import selector_class
from l2a_agents.selector import PROGRESS, MakeEnv, Spaces

from l2a_gym.envs.toy import ToyEnv

BUDGET = 60 * 21


def at(progress: float) -> Any:
    student = np.zeros(7, dtype=np.float32)
    student[PROGRESS] = progress
    return student


def test_a_reward_is_swapped_for_one_of_the_same_step() -> None:
    bag = Bag(np.random.default_rng(0))
    for number in range(1, 200):
        assert 1 <= abs(bag.swap(float(number), at(0.5))) <= number
    assert abs(bag.swap(1000.0, at(0.7))) == 1000.0


def test_swapped_rewards_keep_their_size_and_say_nothing_of_their_own() -> None:
    rng = np.random.default_rng(1)
    given = rng.exponential(size=4000)
    bag = Bag(np.random.default_rng(0))
    taken = np.array([bag.swap(float(reward), at(0.1)) for reward in given])
    assert abs(taken.mean()) < 0.1
    assert np.abs(taken).mean() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(given, taken)[0, 1]) < 0.06
    first = [Bag(np.random.default_rng(seed)).swap(1.0, at(0.1)) for seed in range(1000)]  # nothing else to draw yet
    assert abs(np.mean(first)) < 0.1


def test_shuffled_rewards_do_not_teach(make_toy: MakeEnv, face: Spaces) -> None:
    """Mean return over 8 trainings; the honest learner is far above uniform weights, the control is not above."""

    def gains(name: str) -> list[float]:
        found = []
        for seed in range(8):
            selector = selector_class(name)(face)
            selector.train(make_toy, BUDGET, seed, lambda *_: None)
            env, over = ToyEnv(), False
            env.reset(seed=1000 + seed)
            total = -sum(env.step(np.ones(32, dtype=np.float32))[1] for _ in range(env.steps))  # of uniform weights
            observation, _ = env.reset(seed=1000 + seed)
            while not over:
                observation, reward, over, *_ = env.step(selector.act(observation))
                total += reward
            found.append(total)
        return found

    honest, control = gains("reinforce"), gains("reinforce@shuffled")
    assert np.mean(honest) > 0.1
    assert np.mean(control) < 2 * np.std(control) / np.sqrt(8)


def test_forks_share_the_bag(make_toy: MakeEnv) -> None:
    env = ShuffledRewards(make_toy(), Bag(np.random.default_rng(0)))
    env.reset(seed=0)
    twin = env.fork()
    assert isinstance(twin, gym.Wrapper)
    for each in (env, twin):
        each.step(np.ones(32, dtype=np.float32))
    assert [len(rewards) for rewards in env.bag.rewards.values()] == [2]


def test_frozen_is_the_start(make_toy: MakeEnv, face: Spaces, observation: dict[str, Any]) -> None:
    selector = selector_class("ppo@frozen")(face)
    selector.train(make_toy, BUDGET, 0, lambda *_: pytest.fail("it trains"))
    assert np.array_equal(selector.act(observation), selector_class("ppo")(face).act(observation))


def test_an_unknown_control_names_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown control 'shufled' of 'ppo': valid are shuffled, frozen"):
        selector_class("ppo@shufled")
