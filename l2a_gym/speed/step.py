"""A step of the environment against its bare student updates and pass over dev, on the same tensors."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.envs.reward import score_each
from l2a_gym.speed.clock import Figures, interleave

MANY = 16
"""Students of the batched environment."""


def steps(settings: dict[str, Any], repeats: int) -> Figures:
    """An environment of one student and one of many, each against its own bare work.

    Args:
        settings: arguments of the environment but for its length.
        repeats: timed pairs.

    Returns:
        ``env_step_ratio``, ``env_step_seconds`` and ``bare_seconds``; ``env_step_ratio_batched`` of :data:`MANY`.
    """
    one, many = (_pairs(settings, number, repeats) for number in (1, MANY))
    return {
        "env_step_ratio": float(np.median(one[:, 0] / one[:, 1])),
        "env_step_seconds": float(np.median(one[:, 0])),
        "bare_seconds": float(np.median(one[:, 1])),
        "env_step_ratio_batched": float(np.median(many[:, 0] / many[:, 1])),
    }


def _pairs(settings: dict[str, Any], number: int, repeats: int) -> NDArray[np.float64]:
    """Seconds (repeats, 2) of a step and of its bare work by other students, on the candidates shown at the time."""
    envs = gym.make_vec("l2a_gym:L2A-Distill-v0", num_envs=number, steps=10**9, **settings)
    assert isinstance(envs.unwrapped, DistillAugVectorEnv)
    envs.reset(seed=0)
    batch, action = envs.unwrapped.batch, np.ones(envs.action_space.shape or (), dtype=np.float32)
    dev, setup = batch.world.dev, batch.setup
    others = setup.new_students(batch.world, number)  # whom no look at candidates has saved a pass
    weights, rates = torch.ones(number, setup.candidates, device=others.device), np.ones(number)

    def bare() -> None:
        rows, anchors = batch.shown()
        others.step(rows, weights, anchors, setup.updates, rates)
        score_each(others.dev_pass().logits, dev.label)

    return interleave([partial(envs.step, action), bare], repeats, others.device, name=f"steps of {number}")
