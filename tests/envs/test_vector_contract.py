"""What vector environments of Gymnasium keep to, for the native one: resets, seeds, autoreset modes, wrappers."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, NormalizeObservation, RecordEpisodeStatistics, RescaleAction
from numpy.typing import NDArray

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.errors import UserError

ID = "l2a_gym:L2A-Distill-v0"
E, N, T = 3, 24, 4  # the budget of the small task


@pytest.fixture
def envs(small: dict[str, Any]) -> DistillAugVectorEnv:
    return DistillAugVectorEnv(num_envs=E, autoreset_mode=AutoresetMode.DISABLED, **small)


def plans(steps: int, number: int = E) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (steps, number, N)).astype(np.float32)


def assert_close(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_close(found[name], expected[name])
    elif expected.dtype == object:
        for one, other in zip(found, expected, strict=True):
            assert (one is None) == (other is None)
            if other is not None:
                assert_close(one, other)
    else:
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("mode", "limit"), [(AutoresetMode.NEXT_STEP, None), (AutoresetMode.SAME_STEP, 3)])
def test_both_kinds_of_vector_are_equal(small: dict[str, Any], mode: AutoresetMode, limit: int | None) -> None:
    """Everything that two episodes and a half give, ended by the task or truncated before."""
    options = {} if limit is None else {"max_episode_steps": limit}
    native = gym.make_vec(ID, num_envs=2, autoreset_mode=mode, **options, **small)
    sync = gym.make_vec(ID, 2, "sync", {"autoreset_mode": mode}, **options, **small)
    assert native.metadata["autoreset_mode"] is mode
    for name in ("num_envs", "observation_space", "single_observation_space", "action_space", "single_action_space"):
        assert getattr(native, name) == getattr(sync, name)
    for found, expected in zip(native.reset(seed=0), sync.reset(seed=0), strict=True):
        assert_close(found, expected)
    for actions in plans(2 * T + 3, 2):
        for found, expected in zip(native.step(actions), sync.step(actions), strict=True):
            assert_close(found, expected)


@pytest.mark.parametrize("options", [{"action": "mixture"}, {"dev_every": 2, "engine": "batched"}], ids=str)
def test_in_the_next_step_one_begins_anew_while_the_others_go_on(
    small: dict[str, Any], options: dict[str, Any]
) -> None:
    """The second student diverges in the second step; the others, and its next episode, are those of Gymnasium's."""
    envs = DistillAugVectorEnv(num_envs=E, autoreset_mode="NextStep", **small, **options)
    sync = SyncVectorEnv([lambda: DistillAugEnv(**small, **options)] * E)
    actions = np.random.default_rng(1).uniform(-1, 1, (T + 3, *envs.action_space.shape)).astype(np.float32)
    envs.reset(seed=3)
    sync.reset(seed=3)
    for t, each in enumerate(actions):
        if t == 1:
            _poison(envs, sync)
        for found, expected in zip(envs.step(each), sync.step(each), strict=True):
            assert_close(found, expected)
    assert envs.batch.episodes[1].t != envs.batch.episodes[0].t


def _poison(envs: DistillAugVectorEnv, sync: Any) -> None:
    for students, i in ((envs.batch.students, 1), (sync.envs[1].batch.students, 0)):
        state = students.state(i)
        for part in (state.get("student", state)).values():
            if part.is_floating_point():
                part.fill_(float("nan"))
        students.restore(state, i)


def test_seeds_of_all_are_known(envs: DistillAugVectorEnv) -> None:
    before = envs.np_random_seed
    assert len(set(before)) == E
    envs.reset(seed=42)
    assert envs.np_random_seed == (42, 43, 44)
    envs.reset()
    assert envs.np_random_seed == (42, 43, 44)  # streams go on
    envs.reset(seed=[7, None, np.int64(9)])
    assert envs.np_random_seed == (7, 43, 9)
    assert [stream.bit_generator.state for stream in envs.np_random] == [
        each.random.bit_generator.state for each in envs.batch.envs
    ]


@pytest.mark.parametrize("seed", [[1, 2], [1, 2, 3, 4], -1, "3", 1.5, True, [1, 2, -3], [1, 2, "3"], []])
def test_seeds_that_are_none(envs: DistillAugVectorEnv, seed: Any) -> None:
    with pytest.raises(UserError, match="valid are None, a whole number from 0, or a list of 3 of these"):
        envs.reset(seed=seed)
    assert "batch" not in vars(envs)  # found before anything is prepared


def test_a_partial_reset_leaves_the_others_alone(envs: DistillAugVectorEnv) -> None:
    first, _ = envs.reset(seed=[0, 1, 2])
    envs.step(plans(1)[0])
    last, *_ = envs.step(plans(2)[1])
    found, infos = envs.reset(seed=[0, 1, 0], options={"reset_mask": np.array([True, True, False])})
    for name, each in found.items():
        assert np.array_equal(each[:2], first[name][:2])
        np.testing.assert_allclose(each[2], last[name][2], rtol=0, atol=1e-6)
    assert infos["_updates"].tolist() == [True, True, False]
    assert envs.np_random_seed == (0, 1, 2)


MASKS = [
    np.array([True]),
    np.array([True, True, False, False]),
    np.array([[True, True, True]]),
    np.array([1, 1, 0]),
    np.array([1.0, 1.0, 0.0]),
    np.zeros(3, dtype=np.bool_),
    [True, True, False],
    None,
    "all",
]


@pytest.mark.parametrize("mask", MASKS, ids=repr)
def test_masks_that_are_not_valid(envs: DistillAugVectorEnv, mask: Any) -> None:
    with pytest.raises(UserError, match="valid is a numpy array of 3 bool, at least one of them True"):
        envs.reset(seed=0, options={"reset_mask": mask})
    assert "batch" not in vars(envs)


def test_a_mask_in_the_first_reset(envs: DistillAugVectorEnv) -> None:
    with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
        envs.reset(options={"reset_mask": np.array([True, True, False])})
    options = {"reset_mask": np.ones(E, dtype=np.bool_)}
    envs.reset(options=options)
    assert list(options) == ["reset_mask"]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, N), np.float32), r"the action has shape \(2, 24\): valid is \(3, 24\)"),
        (np.zeros((4, N), np.float32), r"the action has shape \(4, 24\): valid is \(3, 24\)"),
        (np.zeros(N, np.float32), r"the action has shape \(24,\): valid is \(3, 24\)"),
        ([np.zeros(N), np.zeros(N), np.zeros(N + 1)], "the action, a list, can't be read as an array: valid are real"),
    ],
)
def test_another_number_of_actions_changes_nothing(envs: DistillAugVectorEnv, actions: Any, message: str) -> None:
    envs.reset(seed=0)
    expected = envs.step(plans(1)[0])[1]
    envs.reset(seed=0)
    with pytest.raises(UserError, match=f"^{message}"):
        envs.step(actions)
    assert np.array_equal(envs.step(tuple(plans(1)[0]))[1], expected)  # one action each, as Gymnasium takes them


def test_without_autoreset_a_truncated_episode_waits(small: dict[str, Any]) -> None:
    envs = gym.make_vec(ID, num_envs=2, autoreset_mode="Disabled", max_episode_steps=2, **small)
    envs.reset(seed=0)
    flags = [envs.step(actions)[2:4] for actions in plans(2, 2)]
    assert [[flag.tolist() for flag in each] for each in flags] == [[[False] * 2] * 2, [[False] * 2, [True] * 2]]
    with pytest.raises(ResetNeeded, match="the episodes of 0, 1 are over"):
        envs.step(plans(1, 2)[0])
    envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match="the episodes of 1 are over"):
        envs.step(plans(1, 2)[0])
    envs.reset()
    assert not envs.step(plans(1, 2)[0])[3].any()


def test_all_are_rendered(small: dict[str, Any]) -> None:
    for mode, kind in (("ansi", str), ("rgb_array", np.ndarray)):
        envs, one = gym.make_vec(ID, 2, render_mode=mode, **small), DistillAugEnv(**small, render_mode=mode)
        assert envs.render_mode == mode
        envs.reset(seed=5)
        frames = envs.render()
        assert frames is not None
        assert len(frames) == 2
        assert all(isinstance(frame, kind) for frame in frames)
        one.reset(seed=6)
        assert np.array_equal(frames[1], one.render())  # type: ignore[arg-type]
    assert gym.make_vec(ID, 2, **small).render_mode is None


def test_types_are_gymnasiums(small: dict[str, Any]) -> None:
    envs = gym.make_vec(ID, num_envs=2, **small)
    observation, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(observation)
    envs.action_space.seed(0)
    observation, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(observation)
    assert (rewards.dtype, rewards.shape) == (np.float64, (2,))
    for flags in (terminated, truncated):
        assert (flags.dtype, flags.shape) == (np.bool_, (2,))
    envs.close()
    envs.close()


class Students(gym.vector.VectorObservationWrapper):
    """Show the student's columns alone."""

    def __init__(self, envs: Any) -> None:
        super().__init__(envs)
        self.single_observation_space = envs.single_observation_space["student"]
        self.observation_space = envs.observation_space["student"]

    def observations(self, observations: Any) -> Any:
        return observations["student"]


def test_gymnasiums_wrappers_take_it(small: dict[str, Any]) -> None:
    """Normalisation takes the mode NEXT_STEP alone; what it gives is what it gives over Gymnasium's own vector."""
    kinds = [
        gym.make_vec(ID, num_envs=2, autoreset_mode="NextStep", **small),
        SyncVectorEnv([lambda: DistillAugEnv(**small)] * 2),
    ]
    wrapped = [NormalizeObservation(Students(RecordEpisodeStatistics(RescaleAction(envs, 0, 1)))) for envs in kinds]
    found, expected = ([each.reset(seed=0)] for each in wrapped)
    for actions in (plans(T + 2, 2) + 1) / 2:
        found.append(wrapped[0].step(actions))
        expected.append(wrapped[1].step(actions))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one[0], other[0], atol=0.02)
    episodes = [each[4]["episode"] for each in itertools.chain(found[1:], expected[1:]) if "episode" in each[4]]
    assert [episode["l"].tolist() for episode in episodes] == [[T, T], [T, T]]
    np.testing.assert_allclose(episodes[0]["r"], episodes[1]["r"], atol=1e-4)


def test_infos_as_a_list(small: dict[str, Any]) -> None:
    envs = DictInfoToList(gym.make_vec(ID, num_envs=2, **small))
    _, infos = envs.reset(seed=0)
    alone = DistillAugEnv(**small)
    assert [list(info) for info in infos] == [list(alone.reset(seed=0)[1])] * 2


def test_equal_seeds_give_equal_data(small: dict[str, Any]) -> None:
    kinds = [gym.make_vec(ID, num_envs=2, **small) for _ in range(2)]
    assert data_equivalence(*(each.reset(seed=1) for each in kinds))
    for actions in plans(2, 2):
        assert data_equivalence(*(each.step(actions) for each in kinds))
