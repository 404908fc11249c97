"""Vector environments for Stable-Baselines3, against its own vector of the same environments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from l2a_gym.envs.toy import ToyEnv

pytest.importorskip("stable_baselines3")
from l2a_agents.sb3 import GymnasiumVecEnv
from stable_baselines3.common.vec_env import DummyVecEnv

E = 3


def same(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            same(found[name], value)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture
def envs() -> GymnasiumVecEnv:
    return GymnasiumVecEnv(SyncVectorEnv([ToyEnv] * E, autoreset_mode=AutoresetMode.SAME_STEP))


def test_it_gives_what_the_librarys_own_vector_gives(envs: GymnasiumVecEnv) -> None:
    own = DummyVecEnv([ToyEnv] * E)  # type: ignore[list-item]
    assert envs.observation_space == own.observation_space
    assert envs.action_space == own.action_space
    for each in (envs, own):
        each.seed(4)
    same(envs.reset(), own.reset())
    random = np.random.default_rng(0)
    for _ in range(2 * ToyEnv().steps + 1):
        actions = random.uniform(-1, 1, (E, 32)).astype(np.float32)
        found, expected = envs.step(actions), own.step(actions)
        same(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
        assert found[1].dtype == expected[1].dtype
        assert found[2].tolist() == expected[2].tolist()
        for one, other in zip(found[3], expected[3], strict=True):
            same(one, other)
    assert envs.reset_infos[0].keys() == own.reset_infos[0].keys()


def test_attributes_are_shared_and_fixed(envs: GymnasiumVecEnv) -> None:
    assert envs.get_attr("num_envs", [0, 2]) == [E, E]
    assert envs.env_is_wrapped(object) == [False] * E
    with pytest.raises(AttributeError, match="'steps' can't be set: the environments of a SyncVectorEnv are one"):
        envs.set_attr("steps", 3)
    with pytest.raises(AttributeError, match="'render' can't be called"):
        envs.env_method("render")


def test_other_modes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Stable-Baselines3 needs AutoresetMode.SAME_STEP"):
        GymnasiumVecEnv(SyncVectorEnv([ToyEnv], autoreset_mode=AutoresetMode.DISABLED))
