"""What general distillation learns from: the vectors are those of the texts, and mixed texts stay in the minority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import encode
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

    spans = zip(tokens.ids.tolist(), tokens.length.tolist(), strict=True)
    read = tuple(tokenizer.batch_decode([ids[:n] for ids, n in spans], skip_special_tokens=True))
    known = read_candidates(prepared.folder / "pool")
    assert set(task.unlabelled.text) < set(known.text)
    sides = 2 if pair else 1
    own = prepared.rows["train"].stop
    for number, (pool, shots) in enumerate([(known.text, task.train.text), (known.pair, task.train.pair)][:sides]):
        side = read[number::sides]
        assert side[: len(known)] == pool
        assert side[len(known) : own] == shots
        assert len(side[own:]) == 32 // sides
        assert len(set(side[own:]) - {*pool, *shots}) > 28 // sides - 4
    untuned, texts = load_teacher(config.checkpoint, 2, config.seed), Texts(read, np.zeros(len(read)))
    expected = sentence_vectors(untuned, encode(load_tokenizer(config.checkpoint), texts, task.max_length)).float()
    torch.testing.assert_close(vectors.float(), expected[:, 0], rtol=0, atol=5e-3)
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
