"""Thousands of actions of all kinds: each is taken, or named in one sentence and without any effect."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.errors import UserError

ACTIONS, EPISODE = 1200, 300  # of each environment; between two resets, more than an episode has steps
Random = np.random.Generator
Make = Callable[[Random, Any], Any]  # from finite numbers (N,) beyond -1 to 1 as well


def spoilt(values: list[Any]) -> Make:
    """Put one of some values in one place."""

    def make(rng: Random, action: Any) -> Any:
        mixed = action.tolist()
        mixed[rng.integers(len(mixed))] = values[rng.integers(len(values))]
        return mixed

    return make


GOOD: list[Make] = [
    lambda rng, action: action,
    lambda rng, action: action.astype(["f2", "f4", "f8", "g", "i1", "i8", "?", ">f4"][rng.integers(8)]),
    lambda rng, action: action.tolist(),
    lambda rng, action: tuple(action),
    lambda rng, action: np.repeat(action, 2)[::2],
    lambda rng, action: 1e300 * action.astype(np.float64),
    lambda rng, action: torch.from_numpy(action),
    lambda rng, action: torch.from_numpy(action).to([torch.half, torch.double, torch.int, torch.bool][rng.integers(4)]),
    lambda rng, action: torch.from_numpy(action).requires_grad_(),
    lambda rng, action: list(torch.from_numpy(action)),
]
BAD: list[Make] = [
    spoilt([np.nan, np.inf, -np.inf, torch.tensor(torch.nan)]),
    spoilt([None, "1", b"1", 1j, {}, [1.0], [1, 2], 10**400, datetime.date(2026, 1, 1), object()]),
    lambda rng, action: str(action.tolist()),
    lambda rng, action: bytes(action),
    lambda rng, action: action.astype("U"),
    lambda rng, action: dict(enumerate(action)),
    lambda rng, action: set(action.tolist()),
    lambda rng, action: (each for each in action),
    lambda rng, action: [None, 1, 0.5, "", b"", {}, [], (), object(), len, int, np.nan, ...][rng.integers(13)],
    lambda rng, action: action[: rng.integers(len(action))],
    lambda rng, action: np.append(action, action[: rng.integers(1, 5)]),
    lambda rng, action: action.reshape([(1, -1), (-1, 1), (1, 1, -1)][rng.integers(3)]),
    lambda rng, action: action.astype(["O", "c8", "m8[s]", "S3", "V4"][rng.integers(5)]),
    lambda rng, action: action.astype("i8").astype("M8[s]"),
    lambda rng, action: action.view([("weight", "f4")]),
    lambda rng, action: np.ma.masked_where(action > [0, 9][rng.integers(2)], action),
    lambda rng, action: np.full(len(action), [np.nan, np.inf][rng.integers(2)]),
    lambda rng, action: torch.from_numpy(action).to([torch.bfloat16, torch.cfloat, torch.float8_e5m2][rng.integers(3)]),
    lambda rng, action: torch.from_numpy(action).to("meta"),
    lambda rng, action: torch.from_numpy(action).to_sparse(),
    lambda rng, action: torch.from_numpy(action)[None],
    lambda rng, action: torch.from_numpy(action) * torch.nan,
]


def drawn(rng: Random, size: int) -> tuple[bool, Any]:
    """Draw an action, and whether it is valid."""
    good = bool(rng.random() < 0.3)
    makers = GOOD if good else BAD
    return good, makers[rng.integers(len(makers))](rng, rng.uniform(-2, 2, size).astype(np.float32))


def assert_equal(one: Any, other: Any) -> None:
    """Equal bit for bit: observation, reward, flags and info."""
    assert one[1:] == other[1:]
    assert all(np.array_equal(one[0][name], other[0][name]) for name in one[0])


def outcome(env: gym.Env[Any, Any], action: Any) -> Any:
    """Return the step, or the error of a kind that is allowed."""
    try:
        return env.step(action)
    except (UserError, ResetNeeded) as error:
        return error


@pytest.mark.parametrize("name", ["toy", "mixture"])
def test_actions_of_all_kinds(small: dict[str, Any], name: str) -> None:
    """Its twin sees the valid actions alone; all that both give stays the same, so refusals changed nothing."""
    make = ToyEnv if name == "toy" else lambda: DistillAugEnv(**small, action="mixture")  # draws more
    env, twin = make(), make()
    rng, steps = np.random.default_rng(0), 0
    for number in range(ACTIONS):
        if number % EPISODE == 0:
            assert_equal(env.reset(seed=number), twin.reset(seed=number))
        valid, action = drawn(rng, env.action_space.shape[0])
        step = outcome(env, action)
        if isinstance(step, UserError):
            assert not valid
            assert str(step).startswith("the action")
            assert "\n" not in str(step)
        elif isinstance(step, ResetNeeded):
            assert isinstance(outcome(twin, action), ResetNeeded)
        else:
            assert valid
            assert_equal(step, twin.step(action))
            steps += 1
    assert steps == ACTIONS // EPISODE * env.steps
