"""What the bench says of preparations, on tasks of a few hundred texts."""

from __future__ import annotations

import shutil
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.speed.preparation import TARGET, _shallow, _texts, _write_task, preparation
from l2a_gym.tasks.registry import make_task


@pytest.fixture(scope="module")
def found(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, forks: BaseContext) -> dict[str, Any]:
    """Figures of a teacher that has room for the made-up task's 48 tokens."""
    folder = shutil.copytree(small["checkpoint"], tmp_path_factory.mktemp("teacher") / "longer")
    BertModel(BertConfig.from_pretrained(folder, max_position_embeddings=48)).save_pretrained(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("l2a_gym.speed.preparation.get_context", lambda _: forks)
        return preparation(str(folder), "tiny", (150,), torch.device("cpu"))


def test_each_size_has_its_stages_memory_and_step(found: dict[str, Any]) -> None:
    stages = [
        "pool",
        "tokens",
        "base",
        "few-shot",
        "out-of-fold",
        "all-data",
        "cross-fitted",
        "answers",
        "signals",
        "student",
    ]
    assert list(found["prepare"]) == ["150"]
    figures = found["prepare"]["150"]
    assert list(figures) == [*stages, "peak_mib", "step_seconds"]
    assert min(figures.values()) > 0
    assert 100 < figures["peak_mib"] < 4096
    assert found["teacher_texts_per_second"] > 0


def test_the_made_up_task_has_as_many_candidates_as_it_says(small: dict[str, Any], tmp_path: Path) -> None:
    task = make_task(str(_write_task(tmp_path / "700", small["checkpoint"], 700)))
    assert len(task.sources["source"]) == 700
    texts = list(_texts(small["checkpoint"], 700 + TARGET))
    assert set(task.sources["source"].text) == set(texts[TARGET:])
    assert {len(text.split()) for text in texts} == set(range(6, 15))


def test_the_shallow_teacher_has_the_width_and_one_layer(small: dict[str, Any], tmp_path: Path) -> None:
    folder = _shallow(small["checkpoint"], tmp_path / "teacher")
    shallow, whole = (load_teacher(each, 2, 0) for each in (folder, small["checkpoint"]))
    assert shallow.config.num_hidden_layers == 1
    assert shallow.config.hidden_size == whole.config.hidden_size
    assert load_tokenizer(folder).get_vocab() == load_tokenizer(small["checkpoint"]).get_vocab()
