"""The metagradient learner: what it makes of credits, and what it reaches on the toy, whose optimum is known."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.metagradient import Metagradient, shrunk
from l2a_agents.registry import make_selector
from l2a_agents.rollout import rollout
from l2a_agents.rule import COLUMNS
from l2a_agents.selector import MakeEnv, Spaces

from l2a_gym.envs.toy import ToyEnv

BUDGET = 500


def trained(name: str, spaces: Spaces, seed: int, noise: float = 0.0) -> Metagradient:
    selector = make_selector(name, spaces)
    selector.train(MakeEnv("l2a_gym:L2A-Toy-v0", noise=noise), BUDGET, seed, lambda *_: None)
    return cast(Metagradient, selector)


def share(selector: Metagradient) -> float:
    """What it gains in an episode that it was not trained on, of the largest return."""
    env = ToyEnv()
    return sum(step.reward for step in rollout(env, selector.act, 100)) / env.optimal_return(100)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_it_comes_near_the_optimum(spaces: Spaces, noise: float) -> None:
    assert min(share(trained("metagradient", spaces, seed, noise)) for seed in range(3)) > 0.95


def test_without_noise_it_finds_the_columns_that_count(spaces: Spaces) -> None:
    theta = dict(zip(COLUMNS, trained("metagradient", spaces, 0).theta, strict=True))
    assert theta["all_data_label"] > theta["domain_log_odds"] > 0.5
    assert abs(theta["teacher_confidence"]) + abs(theta["similarity"]) < 0.1


def test_shuffled_credit_and_rewards_teach_nothing(spaces: Spaces) -> None:
    uniform = share(cast(Metagradient, make_selector("metagradient", spaces)))
    shares = [share(trained("metagradient@shuffled", spaces, seed)) for seed in range(8)]
    assert np.mean(shares) < uniform + 0.05


def test_columns_on_which_episodes_disagree_are_shrunk() -> None:
    """(1, 1): m = 1 and s = 0. (1, -1): m = 0. (3, 1): m = 2 and s = 1, 2 * 4 / 5."""
    np.testing.assert_allclose(shrunk(np.array([[1.0, 1, 3], [1, -1, 1]])), [1, 0, 1.6])
    np.testing.assert_allclose(shrunk(np.array([[2.0, -3]])), [2, -3])


def test_it_names_the_method_that_an_environment_lacks(spaces: Spaces) -> None:
    class Bare(gym.Env[Any, Any]):
        def __str__(self) -> str:
            return "<Bare>"

    def make_env() -> Bare:
        return Bare()

    selector: Any = make_selector("metagradient", spaces)
    with pytest.raises(
        ValueError, match=r"^metagradient needs an environment with the method metagradient\(\); <Bare> has"
    ):
        selector.train(make_env, BUDGET, 0, lambda *_: None)
