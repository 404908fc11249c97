"""Whose labelled texts join each update: those of the shots, or all of the target but test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.errors import UserError
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.registry import make_task

SPLITS = {"shots": ["train"], "all": ["train", "dev", "select"]}
MANY: dict[str, Any] = {"distillation": {"anchors": 120}}
"""Arguments of environments that draw many anchors at a time."""


def drawn(env: DistillAugEnv, anchors: str) -> set[int]:
    """The rows of the anchors of an episode."""
    env.reset(seed=0, options={"anchors": anchors})
    rows: set[int] = set()
    for _ in range(env.steps):
        rows |= set(env.save_state().episode.anchors.tolist())
        env.step(np.ones(env.candidates, dtype=np.float32))
    return rows


def expected(prepared: Prepared, anchors: str) -> set[int]:
    parts = [prepared.rows[name] for name in SPLITS[anchors]]
    return {row for part in parts for row in range(part.start, part.stop)}


@pytest.mark.parametrize("kind", ["small", "budgeted", "unlabelled"])
def test_every_labelled_text_is_drawn_and_no_other(request: pytest.FixtureRequest, kind: str) -> None:
    env = DistillAugEnv(**request.getfixturevalue(kind), **MANY)
    prepared = env.world.prepared
    for anchors in ("shots", "all", "shots"):
        rows = drawn(env, anchors)
        assert rows == expected(prepared, anchors)
    every = expected(prepared, "all")
    assert max(every) < prepared.rows["test"].start
    task, index = make_task(request.getfixturevalue(kind)["task"]), sorted(every)
    label = {row: label for name in SPLITS["all"] for row, label in labels_of(prepared, task, name)}
    assert env.world.texts.label[index].tolist() == [label[row] for row in index]
    tokens = prepared.tokens(slice(None))
    assert torch.equal(env.world.texts.tokens.ids[index], tokens.ids[index])
    assert torch.equal(env.world.texts.teacher[index], prepared.logits("few-shot", slice(None))[index])  # type: ignore[index]
    assert len(env.world.texts.label) == prepared.rows["test"].start


def labels_of(prepared: Prepared, task: Any, name: str) -> list[tuple[int, int]]:
    rows = prepared.rows[name]
    return list(zip(range(rows.start, rows.stop), getattr(task, name).label.tolist(), strict=True))


def test_shots_are_the_default_and_others_teach_something_else(small: dict[str, Any]) -> None:
    env, rewards = DistillAugEnv(**small, **MANY), []
    for options in ({}, {"anchors": "shots"}, {"anchors": "all"}, None):
        env.reset(seed=0, options=options)
        rewards.append(env.step(np.ones(env.candidates, dtype=np.float32))[1])
    assert rewards[0] == rewards[1] == rewards[3] != rewards[2]


def test_a_restored_episode_keeps_its_anchors(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, **MANY)
    env.reset(seed=0, options={"anchors": "all"})
    state, action = env.save_state(), np.ones(env.candidates, dtype=np.float32)
    env.step(action)
    rows = env.save_state().episode.anchors
    env.reset(seed=0)
    env.restore_state(state)
    env.step(action)
    assert np.array_equal(env.save_state().episode.anchors, rows)


def test_vector_environments_take_them_too(small: dict[str, Any]) -> None:
    envs = DistillAugVectorEnv(num_envs=2, **small, **MANY)
    envs.reset(seed=0, options={"anchors": "all"})
    prepared, action = envs.batch.world.prepared, np.ones((2, envs.candidates), dtype=np.float32)

    def rows() -> set[int]:
        return {row for episode in envs.batch.episodes for row in episode.anchors.tolist()}

    assert expected(prepared, "shots") < rows() <= expected(prepared, "all")
    for _ in range(envs.steps):  # the last begins new episodes by itself
        envs.step(action)
    assert rows() == expected(prepared, "shots")


def test_an_unknown_choice_is_named(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, **MANY)
    with pytest.raises(UserError, match=r"^unknown anchors 'shot': did you mean 'shots'\? valid are shots, all$"):
        env.reset(options={"anchors": "shot"})


PHRASES: dict[str, Any] = {"phrases": 3, "distillation": {"anchors": 60}}


@pytest.mark.parametrize("kind", ["small", "budgeted"])
def test_two_phrases_of_the_labelled_texts_join_beside_each_of_them(request: pytest.FixtureRequest, kind: str) -> None:
    arguments = request.getfixturevalue(kind)
    env = DistillAugEnv(**arguments, **PHRASES)
    prepared = env.world.prepared
    shots, every = (expected(prepared, name) for name in ("shots", "all"))
    end = max(every) + 1
    assert len(env.world.texts.label) == end + 3 * len(every)
    for anchors, labelled in (("shots", shots), ("all", every), ("shots", shots)):
        rows = drawn(env, anchors)
        assert {row for row in rows if row < end} == labelled
        assert {row for row in rows if row >= end} <= set(range(end, end + 3 * len(labelled)))
        episode = env.save_state().episode
        assert len(episode.anchors) == 3 * 60 * env.updates
        assert (episode.anchors >= end).sum() == 2 * 60 * env.updates


def test_phrases_teach_something_else_and_none_is_the_default(small: dict[str, Any]) -> None:
    rewards = []
    for phrases in ({}, {"phrases": 0}, {"phrases": 3}):
        env = DistillAugEnv(**small, **phrases)
        env.reset(seed=0)
        rewards.append(env.step(np.ones(env.candidates, dtype=np.float32))[1])
    assert rewards[0] == rewards[1] != rewards[2]


@pytest.mark.parametrize("engine", ["threads", "batched"])
def test_students_side_by_side_learn_from_phrases_too(small: dict[str, Any], engine: str) -> None:
    one = DistillAugEnv(**small, phrases=3)
    one.reset(seed=5)
    reward = one.step(np.ones(one.candidates, dtype=np.float32))[1]
    envs = DistillAugVectorEnv(num_envs=2, **small, phrases=3, engine=engine)
    envs.reset(seed=[5, 6])
    rewards = envs.step(np.ones((2, envs.candidates), dtype=np.float32))[1]
    assert rewards[0] == pytest.approx(reward, abs=1e-4)


def test_fewer_than_no_phrases_are_refused(small: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="phrases = -1"):
        DistillAugEnv(**small, phrases=-1)
