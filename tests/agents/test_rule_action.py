"""Libraries that act through the shared rule: the same weights as the rule's, and a stock PPO that learns the toy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from l2a_agents.prior import SHOWN, prior_of
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions, summary
from l2a_agents.rule_action import RuleAction
from l2a_agents.selector import Spaces

from l2a_gym.envs.toy import ToyEnv


def wrapped(prior: str = "", **options: Any) -> RuleAction:
    return RuleAction(ToyEnv(**options), prior=prior)


def test_a_step_is_that_of_the_rules_weights() -> None:
    env, plain, rng = wrapped(), ToyEnv(), np.random.default_rng(0)
    first, _ = env.reset(seed=3)
    shown, _ = plain.reset(seed=3)
    assert (first == summary(shown)).all()
    where = positions(Spaces.from_env(plain))
    for _ in range(plain.steps):
        action = rng.uniform(-1, 1, len(COLUMNS)).astype(np.float32)
        found, reward, terminated, truncated, info = env.step(action)
        shown, *expected = plain.step(apply_rule(BOUND * action.astype(np.float64), shown, where))
        assert [reward, terminated, truncated, info] == expected
        assert (found == summary(shown)).all()


def test_gymnasium_accepts_it_and_its_spec_makes_it_again() -> None:
    env = RuleAction(gym.make("l2a_gym:L2A-Toy-v0"), columns=("all_data_label", "similarity"))
    check_env(env, skip_render_check=True)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.action_space == env.action_space
    assert again.action_space.shape == (2,)


def test_action_zero_is_the_prior() -> None:
    env, plain = wrapped(**SHOWN, prior="cross-fitted-weight"), ToyEnv(**SHOWN)
    env.reset(seed=3)
    shown, _ = plain.reset(seed=3)
    prior = prior_of(Spaces.from_env(plain), "cross-fitted-weight")
    assert env.step(np.zeros(len(COLUMNS), dtype=np.float32))[1] == plain.step(prior(shown))[1] > 0


def test_it_names_a_column_that_is_not_shown() -> None:
    with pytest.raises(ValueError, match=r"^this selector needs the column '\w+'; the environment shows "):
        wrapped(features=["length"])


def test_a_stock_ppo_learns_the_toy(can_be_had: Callable[[str], None]) -> None:
    """Acting by 32 weights, it has 3 % of the best return after 25,000 steps."""
    can_be_had("ppo")
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", wrapped(noise=0.01), n_steps=200, batch_size=100, gamma=1.0, seed=0, device="cpu")
    model.learn(3000)
    env, shares = wrapped(), []
    for seed in range(100, 105):
        (observation, _), total, over = env.reset(seed=seed), 0.0, False
        while not over:
            observation, reward, over, *_ = env.step(model.predict(observation, deterministic=True)[0])
            total += reward
        shares.append(total / ToyEnv().optimal_return(seed))
    assert np.mean(shares) > 0.85
