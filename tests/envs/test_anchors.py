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


def made(arguments: dict[str, Any], **options: Any) -> DistillAugEnv:
    """An environment that draws many anchors at a time."""
    env = DistillAugEnv(**arguments, general_updates=20, distillation={"anchors": 500}, **options)
    env.reset(seed=0)
    return env


def drawn(env: DistillAugEnv) -> set[int]:
    """The rows of the anchors of an episode."""
    env.reset(seed=0)
    rows: set[int] = set()
    for _ in range(env.steps):
        rows |= set(env.save_state().episode.anchors.tolist())
        env.step(np.ones(env.candidates, dtype=np.float32))
    return rows


def expected(prepared: Prepared, anchors: str) -> set[int]:
    parts = [prepared.rows[name] for name in SPLITS[anchors]]
    return {row for part in parts for row in range(part.start, part.stop)}


@pytest.mark.parametrize("kind", ["small", "budgeted", "unlabelled"])
@pytest.mark.parametrize("anchors", SPLITS)
def test_every_labelled_text_is_drawn_and_no_other(request: pytest.FixtureRequest, kind: str, anchors: str) -> None:
    env = made(request.getfixturevalue(kind), anchors=anchors)
    prepared = env.world.prepared
    rows = drawn(env)
    assert rows == expected(prepared, anchors)
    assert max(rows) < prepared.rows["test"].start
    task, index = make_task(request.getfixturevalue(kind)["task"]), sorted(rows)
    label = {row: label for name in SPLITS[anchors] for row, label in labels_of(prepared, task, name)}
    assert env.world.texts.label[index].tolist() == [label[row] for row in index]
    tokens = prepared.tokens(slice(None))
    assert torch.equal(env.world.texts.tokens.ids[index], tokens.ids[index])
    assert torch.equal(env.world.texts.teacher[index], prepared.logits("few-shot", slice(None))[index])  # type: ignore[index]


def labels_of(prepared: Prepared, task: Any, name: str) -> list[tuple[int, int]]:
    rows = prepared.rows[name]
    return list(zip(range(rows.start, rows.stop), getattr(task, name).label.tolist(), strict=True))


def test_shots_are_the_default_and_others_teach_something_else(small: dict[str, Any]) -> None:
    usual, shots, every = (made(small, **options) for options in ({}, {"anchors": "shots"}, {"anchors": "all"}))
    action = np.ones(usual.candidates, dtype=np.float32)
    rewards = [env.step(action)[1] for env in (usual, shots, every)]
    assert rewards[0] == rewards[1] != rewards[2]
    assert torch.equal(usual.world.static, every.world.static)


def test_vector_environments_take_them_too(small: dict[str, Any]) -> None:
    envs = DistillAugVectorEnv(num_envs=2, **small, general_updates=20, distillation={"anchors": 500}, anchors="all")
    envs.reset(seed=0)
    rows = {row for episode in envs.batch.episodes for row in episode.anchors.tolist()}
    assert rows == expected(envs.batch.world.prepared, "all")


def test_an_unknown_choice_is_named(small: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^unknown anchors 'shot': did you mean 'shots'\? valid are shots, all$"):
        DistillAugEnv(**small, anchors="shot")
