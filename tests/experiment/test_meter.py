"""The benchmark's own count of what training spends, checked against the environments' infos."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.selector import MakeEnv, spent

from l2a_gym.experiment.meter import Meter, MeteredEnv

TOY = MakeEnv("l2a_gym:L2A-Toy-v0")
ONES = np.ones(32, dtype=np.float32)


def test_episodes_count_their_updates_and_looks() -> None:
    meter, expected = Meter(), 0
    env = meter.around(TOY)()
    for _ in range(2):
        env.reset(seed=0)
        for _ in range(3):
            info = env.step(ONES)[4]
        expected += spent(info)
        assert meter.spent == expected


def test_forks_count_as_well() -> None:
    meter = Meter()
    env = meter.around(TOY)()
    env.reset(seed=0)
    env.step(ONES)
    assert meter.spent == 3
    twin = env.get_wrapper_attr("fork")()
    twin.step(ONES)
    twin.get_wrapper_attr("fork")().step(ONES)
    assert meter.spent == 3 + 2 * 2
    env.step(ONES)
    assert meter.spent == 3 + 3 * 2


def test_what_was_spent_before_going_back_stays_counted() -> None:
    meter = Meter()
    env = meter.around(TOY)()
    env.reset(seed=0)
    state = env.get_wrapper_attr("save_state")()
    for _ in range(3):
        env.get_wrapper_attr("restore_state")(state)
        env.step(ONES)
        env.step(ONES)
    assert meter.spent == 1 + 3 * 4


def test_metagradients_are_counted_where_there_are_any() -> None:
    class Bare(gym.Env[Any, Any]):
        pass

    meter = Meter()
    assert not MeteredEnv(Bare(), meter).has_wrapper_attr("metagradient")
    env = meter.around(TOY)()
    env.reset(seed=0)
    _, info = env.get_wrapper_attr("metagradient")(np.ones((10, 32), dtype=np.float32))
    assert meter.spent == spent(info) > 10


def test_going_back_beneath_the_meter_is_refused() -> None:
    env = Meter().around(TOY)()
    env.reset(seed=0)
    bare: Any = env.unwrapped
    state = bare.save_state()
    for _ in range(3):
        env.step(ONES)
    bare.restore_state(state)
    with pytest.raises(RuntimeError, match=r"call env\.get_wrapper_attr\('restore_state'\)"):
        env.step(ONES)


@pytest.mark.parametrize("name", ["toy", "small"])
def test_environments_that_step_together_count_each(name: str, small: dict[str, Any]) -> None:
    make_env = TOY if name == "toy" else MakeEnv("l2a_gym:L2A-Distill-v0", **small)
    step = 2 if name == "toy" else 3  # updates and the look at dev
    meter = Meter()
    envs = meter.around(make_env).vector(2)
    actions = np.ones(envs.action_space.shape, dtype=np.float32)
    envs.reset(seed=0)
    assert meter.spent == 2
    envs.step(actions)
    assert meter.spent == 2 + 2 * step
    envs.reset(options={"reset_mask": np.array([True, False])})
    assert meter.spent == 3 + 2 * step
    envs.step(actions)
    assert meter.spent == 3 + 4 * step
    envs.close()


def test_a_baseline_gain_costs_too(small: dict[str, Any]) -> None:
    meter = Meter()
    env = meter.around(MakeEnv("l2a_gym:L2A-Distill-v0", **small))(baseline="uniform")
    env.reset(seed=0)
    env.step(np.ones(24, dtype=np.float32))
    assert meter.spent == 1 + 2 * 3
