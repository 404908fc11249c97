"""Many students as one model: each environment gives what it gives alone."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from transformers import PreTrainedModel

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.errors import UserError

ID = "l2a_gym:L2A-Distill-v0"
E, N, T, K = 3, 24, 4, 2  # the budget of the small task


@pytest.fixture(scope="module")
def envs(small: dict[str, Any]) -> DistillAugVectorEnv:
    return DistillAugVectorEnv(num_envs=E, **small)


def plans(steps: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, E, N)).astype(np.float32)


def student_of(envs: DistillAugVectorEnv, i: int) -> PreTrainedModel:
    return envs.batch.students.student(i)


def assert_same(found: Any, expected: Any) -> None:
    """Equal up to rounding, name by name."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[name], value)
        elif value.dtype == object:
            for one, other in zip(found[name], value, strict=True):
                assert (one is None) == (other is None)
                if one is not None:
                    assert_same(one, other)
        else:
            np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    "options", [{}, {"action": "mixture", "dev_every": 3}, {"action": "trust", "baseline": "uniform"}], ids=str
)
def test_each_environment_gives_what_it_gives_alone(small: dict[str, Any], options: dict[str, Any]) -> None:
    """Against gymnasium's own vector of single environments, everything that two episodes give."""
    makers = [lambda: DistillAugEnv(**small, **options)] * E
    alone = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    together = DistillAugVectorEnv(num_envs=E, **small, **options)
    assert together.observation_space == alone.observation_space
    assert together.action_space == alone.action_space
    for found, expected in zip(together.reset(seed=5), alone.reset(seed=5), strict=True):
        assert_same(found, expected)
    for plan in np.random.default_rng(0).uniform(-1, 1, (2 * T, *alone.action_space.shape)).astype(np.float32):
        found, expected = together.step(plan), alone.step(plan)
        assert_same(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=2e-5)
        assert found[2].tolist() == expected[2].tolist()
        assert found[3].tolist() == expected[3].tolist()
        assert_same(found[4], expected[4])


def test_make_vec_takes_it(small: dict[str, Any]) -> None:
    envs = gym.make_vec(ID, num_envs=2, **small)
    assert isinstance(envs, DistillAugVectorEnv)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert envs.single_action_space.shape == (N,)


def test_seeds_decide_and_streams_go_on(envs: DistillAugVectorEnv) -> None:
    first, _ = envs.reset(seed=[7, 8, 7])
    assert np.array_equal(first["candidates"][0], first["candidates"][2])
    assert not np.array_equal(first["candidates"][0], first["candidates"][1])
    second, _ = envs.reset()
    assert not np.array_equal(first["candidates"], second["candidates"])
    envs.reset(seed=[7, 8, 7])
    again, _ = envs.reset()
    assert np.array_equal(again["candidates"], second["candidates"])


def test_a_student_that_diverges_leaves_the_others_alone(envs: DistillAugVectorEnv) -> None:
    plan = plans(T)
    envs.reset(seed=3)
    expected = [envs.step(each) for each in plan]
    envs.reset(seed=3)
    envs.step(plan[0])
    for parameter in student_of(envs, 1).parameters():
        parameter.data.fill_(float("nan"))
    _, rewards, terminated, _, infos = envs.step(plan[1])
    assert terminated.tolist() == [False, True, False]
    assert rewards[1] == -1.0
    assert infos["final_info"]["diverged"].tolist() == [False, True, False]
    assert infos["_final_info"].tolist() == terminated.tolist()
    assert not infos["final_obs"][1]["candidates"].any()
    np.testing.assert_allclose(rewards[[0, 2]], expected[1][1][[0, 2]], rtol=0, atol=1e-6)
    _, rewards, terminated, _, infos = envs.step(plan[2])  # the second one is in the first step of a new episode
    np.testing.assert_allclose(rewards[[0, 2]], expected[2][1][[0, 2]], rtol=0, atol=1e-6)
    assert np.isfinite(rewards[1])
    assert infos["updates"].tolist() == [3 * K, K, 3 * K]
    assert envs.step(plan[3])[2].tolist() == [True, False, True]


def test_an_illegal_action_teaches_no_student(envs: DistillAugVectorEnv) -> None:
    plan = plans(1)[0]
    envs.reset(seed=1)
    expected = envs.step(plan)[1]
    envs.reset(seed=1)
    wrong = plan.copy()
    wrong[2, 5] = np.nan
    with pytest.raises(UserError, match="the action is nan at place 2, 5"):
        envs.step(wrong)
    assert np.array_equal(envs.step(plan)[1], expected)


def test_the_learning_rate_falls_by_each_ones_own_clock(small: dict[str, Any]) -> None:
    """After a divergence the episodes are out of step; each student still learns as it would alone."""
    envs, alone = DistillAugVectorEnv(num_envs=2, **small), DistillAugEnv(**small)
    plan = plans(6)[:, :2]
    envs.reset(seed=2)
    envs.step(plan[0])
    for parameter in student_of(envs, 1).parameters():
        parameter.data.fill_(float("nan"))
    envs.step(plan[1])
    rewards = [envs.step(each)[1] for each in plan[2:4]]
    alone.reset(seed=2)
    own = [alone.step(each[0])[1] for each in plan[:4]]
    assert [reward[0] for reward in rewards] == pytest.approx(own[2:], abs=2e-5)


def test_there_is_at_least_one(small: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="num_envs = 0: valid are whole numbers from 1"):
        DistillAugVectorEnv(num_envs=0, **small)


def test_without_autoreset_an_ended_episode_waits_for_its_reset(small: dict[str, Any]) -> None:
    """Against gymnasium's own vector in the same mode; the second student diverges in the second step."""
    kinds = AutoresetMode.DISABLED
    envs = DistillAugVectorEnv(num_envs=E, autoreset_mode=kinds, **small)
    alone = SyncVectorEnv([lambda: DistillAugEnv(**small)] * E, autoreset_mode=kinds)
    assert envs.metadata["autoreset_mode"] is kinds
    plan = plans(T)
    for each, student in ((envs, lambda: student_of(envs, 1)), (alone, lambda: alone.envs[1].student)):
        each.reset(seed=3)
        each.step(plan[0])
        for parameter in student().parameters():
            parameter.data.fill_(float("nan"))
    found, expected = envs.step(plan[1]), alone.step(plan[1])
    assert found[2].tolist() == expected[2].tolist() == [False, True, False]
    assert "final_info" not in found[4]
    with pytest.raises(ResetNeeded):
        envs.step(plan[2])
    mask = np.array([False, True, False])
    for one, other in zip(
        envs.reset(options={"reset_mask": mask}), alone.reset(options={"reset_mask": mask}), strict=True
    ):
        assert_same(one, other)
    found, expected = envs.step(plan[2]), alone.step(plan[2])
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=2e-5)
    assert found[4]["updates"].tolist() == [3 * K, K, 3 * K]
