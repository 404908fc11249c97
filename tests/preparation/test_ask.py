"""Teachers that are asked anew answer as they did when the task was prepared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from l2a_gym.augment.operator import sides_of
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.preparation.ask import OpenTeacher, ask
from l2a_gym.preparation.labelled_phrases import answered_phrases
from l2a_gym.preparation.open_task import OpenTask
from l2a_gym.preparation.store import TEACHERS, Prepared, read_teacher
from l2a_gym.tasks.task import Task

CPU = torch.device("cpu")


def opened(arguments: dict[str, Any]) -> tuple[Task, Prepared]:
    env = DistillAugEnv(**arguments)
    return OpenTask(arguments["task"]).task(arguments["checkpoint"]), env.world.prepared


@pytest.mark.parametrize("teacher", TEACHERS)
def test_an_answer_is_that_of_the_preparation(small: dict[str, Any], teacher: str) -> None:
    task, prepared = opened(small)
    answer = ask(prepared, teacher, task.test, task.max_length, CPU)
    torch.testing.assert_close(answer, prepared.logits(teacher, prepared.rows["test"]), atol=2e-3, rtol=1e-3)


def test_an_open_teacher_counts_its_encoder_and_its_head(small: dict[str, Any]) -> None:
    task, prepared = opened(small)
    tuned, frozen = (OpenTeacher(prepared, name, task.max_length, CPU) for name in ("few-shot", "cross-fitted"))
    assert tuned.parameters == read_teacher(prepared.folder / "few-shot").num_parameters()
    encoder = AutoModel.from_pretrained(small["checkpoint"])
    assert frozen.parameters == encoder.num_parameters() + 2 * (encoder.config.hidden_size + 1)


@pytest.mark.parametrize("kind", ["small", "budgeted", "unlabelled"])
def test_every_labelled_text_has_its_phrases_in_the_order_of_the_rows(
    request: pytest.FixtureRequest, kind: str
) -> None:
    arguments = request.getfixturevalue(kind)
    task, prepared = opened(arguments)
    found = answered_phrases(task, prepared, "mean", 3, CPU)
    labelled = range(prepared.rows["train"].start, prepared.rows["select"].stop)
    assert len(found.label) == 3 * len(labelled)
    assert torch.equal(found.label, found.teacher.argmax(1))
    tokenizer = prepared.tokenizer()
    texts = [sides[0] for part in (task.train, task.dev, task.select) for sides in sides_of(part)]
    for i, ids in enumerate(found.tokens.ids):
        phrase = tokenizer.decode(ids[1 : int(found.tokens.length[i]) - 1])
        assert phrase in tokenizer.decode(tokenizer(texts[i // 3])["input_ids"]), (phrase, texts[i // 3])
    again = answered_phrases(task, prepared, "mean", 3, CPU)
    assert torch.equal(again.tokens.ids, found.tokens.ids)
    np.testing.assert_array_equal(again.teacher, found.teacher)
