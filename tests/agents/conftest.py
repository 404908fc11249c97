"""The toy as the agents' tests see it: through ``make_env`` and the spaces, like every environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from l2a_agents.registry import SELECTORS
from l2a_agents.rollout import rollout
from l2a_agents.selector import MakeEnv, Selector, Spaces

from l2a_gym.envs.toy import ToyEnv

Share = Callable[[Selector], float]
PACKAGES = {
    "evolution": "cma",
    "bayes": "optuna",
    "sb3_presets": "stable_baselines3",
    "contrib_presets": "sb3_contrib",
}
"""What a module needs beyond the core."""


@pytest.fixture(scope="session")
def make_toy() -> MakeEnv:
    return MakeEnv("l2a_gym:L2A-Toy-v0")


@pytest.fixture(scope="session")
def spaces(make_toy: MakeEnv) -> Spaces:
    return Spaces.from_env(make_toy())


@pytest.fixture(scope="session")
def start() -> dict[str, Any]:
    """The first observation of that episode."""
    return ToyEnv().reset(seed=5)[0]


@pytest.fixture(scope="session")
def observation() -> dict[str, Any]:
    """An observation in the middle of an episode."""
    env = ToyEnv()
    env.reset(seed=5)
    return env.step(np.ones(32, dtype=np.float32))[0]


@pytest.fixture(scope="session")
def share() -> Share:
    """Return over the largest return, of deterministic actions, mean over 20 seeds that no training starts from."""

    def measure(selector: Selector) -> float:
        env, shares = ToyEnv(), []
        for seed in range(1000, 1020):
            total = sum(step.reward for step in rollout(env, selector.act, seed))
            shares.append(total / env.optimal_return(seed))
        return float(np.mean(shares))

    return measure


@pytest.fixture(scope="session")
def can_be_had() -> Callable[[str], None]:
    """Skips a test of a selector whose package is not installed."""

    def check(name: str) -> None:
        module = SELECTORS[name].partition(":")[0].rpartition(".")[2]
        if module in PACKAGES:
            pytest.importorskip(PACKAGES[module], reason=f"{name} needs {PACKAGES[module]}")

    return check
