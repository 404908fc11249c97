"""The environment's metagradient: of the episode that its steps would play, and counted by what it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.episode import METAGRADIENT_COST
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.errors import UserError

T, N, K = 4, 24, 2


@pytest.fixture(scope="module")
def env(small: dict[str, Any]) -> DistillAugEnv:
    return DistillAugEnv(**small)


def last_nll(env: DistillAugEnv, actions: Any) -> float:
    info = env.reset(seed=3)[1]
    for action in actions:
        *_, info = env.step(action)
    return float(info["dev_nll"])


@pytest.mark.parametrize("mode", ["weights", "trust"])
def test_it_is_the_slope_of_the_last_nll_in_the_episode_that_steps_play(small: dict[str, Any], mode: str) -> None:
    """Along a direction that moves the weights of all steps but the first, with a student in float64.

    AdamW's first updates are nearly signs of the gradient, and where a finite move turns a sign, it sees a jump.
    """
    env, size = DistillAugEnv(**small, engine="threads", action=mode), 2.0**-10
    trust = np.tile(np.linspace(-1, 1, env.action_space.shape[0] - N), (T, 1))
    actions = np.concatenate([np.full((T, N), 0.5), trust], axis=1).astype(np.float32)
    env.student.double()
    env.reset(seed=3)
    gradient = env.metagradient(actions)[0][1:]
    move = np.pad(size * np.sign(gradient), [(1, 0), (0, trust.shape[1])])
    slope = (last_nll(env, actions + move) - last_nll(env, actions - move)) / (2 * size)
    assert slope == pytest.approx(np.abs(gradient).sum(), rel=1e-3)


def test_parts_of_dev_add_up(env: DistillAugEnv) -> None:
    actions = np.full((T, N), 0.5, dtype=np.float32)
    env.reset(seed=3)
    whole, even, odd = (
        env.metagradient(actions, dev)[0] for dev in (slice(None), slice(0, None, 2), slice(1, None, 2))
    )
    np.testing.assert_allclose((even + odd) / 2, whole, atol=1e-3 * np.abs(whole).max())
    assert not np.allclose(even, odd, atol=0.1 * np.abs(whole).max())


def test_the_episode_stays_at_its_beginning_and_is_counted(env: DistillAugEnv) -> None:
    actions = np.ones((T, N), dtype=np.float32)
    before = env.reset(seed=3)[1]
    _, info = env.metagradient(actions)
    assert info == before | {"updates": METAGRADIENT_COST * T * K, "dev_passes": before["dev_passes"] + 1}
    rewards = [env.step(action)[1] for action in actions]
    env.reset(seed=3)
    assert rewards == [env.step(action)[1] for action in actions]


def test_what_it_refuses(env: DistillAugEnv, small: dict[str, Any]) -> None:
    env.reset(seed=3)
    with pytest.raises(UserError, match=r"^the action has shape \(24,\): valid is \(4, 24\)"):
        env.metagradient(np.ones(N))
    env.step(np.ones(N))
    with pytest.raises(ResetNeeded, match=r"^a metagradient begins with an episode, and 1 steps were taken"):
        env.metagradient(np.ones((T, N)))
    mixture = DistillAugEnv(**small, action="mixture")
    mixture.reset()
    with pytest.raises(UserError, match=r"^action = 'mixture' has no metagradient: valid are weights and trust"):
        mixture.metagradient(np.ones((T, N)))


def test_the_toys_is_the_slope_of_its_last_nll() -> None:
    env = ToyEnv(noise=0.01)
    rng = np.random.default_rng(0)
    actions, move = rng.uniform(0.2, 0.8, (10, 32)), rng.uniform(-0.1, 0.1, (10, 32))

    def last(actions: Any) -> float:
        env.reset(seed=1)
        return float([env.step(action)[4] for action in actions][-1]["dev_nll"])

    slope = (last(actions + move) - last(actions - move)) / 2
    env.reset(seed=1)
    gradient, info = env.metagradient(actions)
    assert (gradient * move).sum() == pytest.approx(slope, rel=1e-4)
    assert info["updates"] == METAGRADIENT_COST * 10
