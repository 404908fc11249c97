"""What general distillation learns from: the vectors are those of the texts, and mixed texts stay in the minority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import encode
from l2a_gym.distill.heads import head_input
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.distill.teacher import sentence_vectors
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import read_candidates
from l2a_gym.preparation.write_student import general_texts
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task(unlabelled: dict[str, Any]) -> Task:
    """So long that no text is cut, whatever words are put into it."""
    return replace(make_task(unlabelled["task"]), max_length=32)


def paired(task: Task) -> Task:
    def pairs(texts: Texts) -> Texts:
        return replace(texts, pair=tuple(" ".join(text.split()[-3:]) for text in texts.text[::-1]))

    parts = {name: pairs(getattr(task, name)) for name in ("train", "dev", "select", "test", "unlabelled")}
    return replace(task, **parts, sources={name: pairs(texts) for name, texts in task.sources.items()})


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.usefixtures("in_float32")
def test_vectors_are_those_of_the_texts_by_the_untuned_checkpoint(
    task: Task, config: Preparation, pair: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path))
    task = paired(task) if pair else task
    prepared = prepare(task, config, CPU)
    tokens, vectors = general_texts(task, config, CPU, prepared)
    tokenizer = prepared.tokenizer()

    def read(start: torch.Tensor, end: torch.Tensor) -> tuple[str, ...]:
        spans = zip(tokens.ids.tolist(), start.tolist(), end.tolist(), strict=True)
        return tuple(tokenizer.batch_decode([ids[a:b] for ids, a, b in spans], skip_special_tokens=True))

    text = read(torch.zeros_like(tokens.first), tokens.first)
    texts = Texts(text, np.zeros(len(text)), read(tokens.first, tokens.length) if pair else None)
    known = read_candidates(prepared.folder / "pool")
    assert set(task.unlabelled.text) < set(known.text)
    assert texts.text[: len(known)] == known.text
    assert texts.text[len(known) : prepared.rows["train"].stop] == task.train.text
    mixed = texts.text[prepared.rows["train"].stop :]
    assert len(mixed) == 32
    assert len(set(mixed) - {*known.text, *task.train.text}) > 28
    untuned = load_teacher(config.checkpoint, 2, config.seed)
    expected = sentence_vectors(untuned, encode(load_tokenizer(config.checkpoint), texts, task.max_length)).float()
    torch.testing.assert_close(vectors.float(), head_input(expected) if pair else expected[:, 0], rtol=0, atol=5e-3)
    assert vectors.dtype == torch.float16


def test_mixed_texts_are_at_most_half_of_what_updates_read(task: Task, config: Preparation) -> None:
    prepared = prepare(task, config, CPU)
    candidates, own = prepared.rows["pool"].stop, prepared.rows["train"].stop

    def number(**general: int) -> int:
        changed = replace(config, general=GeneralDistillation(batch=16, **general))
        tokens, vectors = general_texts(task, changed, CPU, prepared)
        assert len(tokens) == len(vectors)
        assert torch.equal(vectors[:own], torch.from_numpy(np.array(prepared.array("answers/vectors")[:own])))
        assert torch.equal(tokens.ids[:own], prepared.tokens(slice(0, own)).ids)
        return len(tokens) - own

    assert number(updates=0) == 0
    assert number(updates=3) == 3 * 16 // 2
    assert number(updates=5000) == candidates < own
    assert number(updates=5000, mixed=7) == 7
    assert number(updates=5000, mixed=0) == 0


def test_the_seed_draws_the_mixed_texts(task: Task, config: Preparation) -> None:
    prepared = prepare(task, config, CPU)
    one, same, other = (general_texts(task, replace(config, seed=seed), CPU, prepared)[0] for seed in (0, 0, 1))
    assert torch.equal(one.ids, same.ids)
    assert not torch.equal(one.ids, other.ids)
