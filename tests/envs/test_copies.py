"""Copies of environments in the middle of an episode go on as the original does, bit for bit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv

cloudpickle = pytest.importorskip("cloudpickle")
WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "cloudpickle": lambda env: pickle.loads(cloudpickle.dumps(env)),
    "deepcopy": copy.deepcopy,
}
OPTIONS = [{}, {"action": "mixture", "engine": "batched"}, {"baseline": "uniform"}]


def plan(env: Any, steps: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (steps, *env.action_space.shape)).astype(np.float32)


def going_on(env: Any, actions: NDArray[np.float32], episodes: int) -> list[Any]:
    """Everything that the rest of an episode, and others after it, give; drawn on from the same random stream."""
    given: list[Any] = []
    for episode in range(episodes):
        if episode:
            given.append(env.reset())
        given += [env.step(action) for action in actions]
    return given


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for each in zip(one, other, strict=True):
            assert_same(*each)
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert_same(list(one), list(other))
    else:
        assert np.array_equal(one, other)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_copies_of_one_go_on_as_it_does(small: dict[str, Any], options: dict[str, Any]) -> None:
    env = gym.make("l2a_gym:L2A-Distill-v0", **small, **options)
    env.reset(seed=0)
    actions = plan(env, 4)
    env.step(actions[0])
    copies = {name: way(env) for name, way in WAYS.items()}
    expected = going_on(env, actions[1:], episodes=2)
    for name, twin in copies.items():
        assert twin.spec == env.spec, name
        assert_same(going_on(twin, actions[1:], episodes=2), expected)
        assert (twin.unwrapped.world is env.unwrapped.world) == (name == "deepcopy")  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["threads", "batched"])
def test_copies_of_many_go_on_as_they_do(small: dict[str, Any], engine: str) -> None:
    envs = gym.make_vec("l2a_gym:L2A-Distill-v0", num_envs=2, engine=engine, **small)
    envs.reset(seed=[3, 5])
    actions = plan(envs, 6)
    envs.step(actions[0])
    copies = [way(envs) for way in WAYS.values()]
    expected = going_on(envs, actions[1:], episodes=1)
    for twin in copies:
        assert twin.np_random_seed == (3, 5)
        assert_same(going_on(twin, actions[1:], episodes=1), expected)


def test_a_copy_and_its_original_go_their_own_ways(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    env.reset(seed=0)
    twin, actions = copy.deepcopy(env), plan(env, 4)
    expected = [env.step(action)[1] for action in actions]
    twin.step(-actions[0])
    env.reset(seed=0)
    assert [env.step(action)[1] for action in actions] == expected
    assert twin.save_state().episode.t == 1


def test_copies_made_before_the_first_reset(small: dict[str, Any]) -> None:
    for env in (DistillAugEnv(**small), DistillAugVectorEnv(num_envs=2, **small)):
        fresh = [way(env) for way in WAYS.values()]
        assert all("batch" not in vars(each) for each in fresh)  # nothing is prepared for a copy
        expected = env.reset(seed=1)
        for each in fresh:
            assert_same(each.reset(seed=1), expected)


def test_a_copy_samples_the_same_actions(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    env.action_space.seed(0)
    twin = pickle.loads(pickle.dumps(env))
    assert np.array_equal(env.action_space.sample(), twin.action_space.sample())
