"""Those who wrap an environment learn which candidates it shows, and their texts."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv

E, N = 2, 24
ALL = np.ones(N, dtype=np.float32)


def hot(env: DistillAugEnv, observation: dict[str, NDArray[np.float32]], feature: str) -> list[str]:
    """The value of a one-hot feature of each candidate."""
    columns = {i: name.partition("=")[2] for i, name in enumerate(env.columns) if name.startswith(f"{feature}=")}
    names = list(columns.values())
    return [names[code] for code in observation["candidates"][:, list(columns)].argmax(1)]


def test_rows_and_texts_are_those_of_the_observation(small: dict[str, Any]) -> None:
    made = gym.make("l2a_gym:L2A-Distill-v0", **small)
    env: Any = made.unwrapped
    with pytest.raises(ResetNeeded):
        env.shown()
    pool = env.world.prepared.pool()
    labels, domains = env.world.prepared.manifest()["labels"], np.array(env.domains)
    observation, _ = made.reset(seed=3)
    for _ in range(env.steps):
        rows, expected = env.shown(), env.save_state().episode.rows
        assert np.array_equal(rows, expected)
        texts = env.texts(rows)
        assert texts.text == tuple(pool["text"][row] for row in rows)
        assert [labels[code] for code in texts.label] == hot(env, observation, "label")
        assert domains[np.array(pool["domain"])[rows]].tolist() == hot(env, observation, "domain")
        rows[:] = 0  # of the caller's own
        assert np.array_equal(env.shown(), expected)
        observation, *_ = made.step(ALL)
    assert np.array_equal(made.get_wrapper_attr("shown")(), env.shown())


def test_many_environments_show_what_each_shows_alone(small: dict[str, Any]) -> None:
    envs, alone = DistillAugVectorEnv(num_envs=E, **small), DistillAugEnv(**small)
    envs.reset(seed=5)
    envs.step(np.stack([ALL] * E))
    assert envs.shown().shape == (E, N)
    for number, rows in enumerate(envs.shown()):
        alone.reset(seed=5 + number)
        alone.step(ALL)
        assert np.array_equal(rows, alone.shown())
        assert envs.texts(rows).text == alone.texts(rows).text
