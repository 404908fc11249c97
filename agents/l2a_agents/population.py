"""Many rules played at a time, on the same candidates."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

from l2a_agents.rule import RuleEnv
from l2a_agents.selector import MakeEnv


def rule_envs(make_env: MakeEnv, seed: int, n: int, repeat: int = 1) -> VectorEnv[Any, Any, Any]:
    """n environments whose episodes start from the same seeds in the same order, each ``repeat`` times in a row."""
    makers = [partial(RuleEnv, make_env, seed, repeat=repeat)] * n
    if n == 1:
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    return AsyncVectorEnv(makers, context="spawn", autoreset_mode=AutoresetMode.SAME_STEP)


def play(
    envs: VectorEnv[Any, Any, Any], thetas: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], int, dict[str, float]]:
    """An episode for each rule (M, H), M a multiple of the number of environments.

    Returns:
        Rewards (M,), the budget that all environments spent so far, and the mean of each figure at the episodes' ends.
    """
    rewards, figures = [], []
    for part in thetas.astype(np.float32).reshape(-1, envs.num_envs, thetas.shape[1]):
        _, reward, _, _, info = envs.step(part)
        rewards.append(reward)
        figures.append(info["final_info"])
    names = [name for name in figures[0] if not name.startswith("_") and name != "spent"]
    means = {name: float(np.mean([each[name] for each in figures])) for name in names}
    return np.concatenate(rewards), int(figures[-1]["spent"].sum()), means
