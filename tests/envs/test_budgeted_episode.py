"""Episodes of a task with a budget of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.tasks.registry import make_task


def test_an_episode_reads_the_texts_of_the_budget_alone(budgeted: dict[str, Any]) -> None:
    env, task = DistillAugEnv(**budgeted), make_task(budgeted["task"])
    observation, first = env.reset(seed=0)
    rewards = []
    for action in np.random.default_rng(0).uniform(-1, 1, (env.steps, env.candidates)).astype(np.float32):
        assert env.observation_space.contains(observation)
        observation, reward, *_, info = env.step(action)
        rewards.append(reward)
    assert sum(rewards) == pytest.approx(first["dev_nll"] - info["dev_nll"], abs=1e-12)
    world = env.world
    assert world.dev.label.tolist() == task.dev.label.tolist() == task.select.label.tolist()
    shots, every = (world.texts.label[[*world.anchors(which)]].tolist() for which in ("shots", "all"))
    assert shots == task.train.label.tolist()
    assert every == [*shots, *task.dev.label]
