"""Many students as a few tensors, against one after another; on a GPU the same arithmetic is compiled and replayed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
)

from l2a_gym.distill import batched
from l2a_gym.distill.batched import BatchedStudents
from l2a_gym.distill.config import Distillation
from l2a_gym.distill.data import Taught
from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.towers import two_towers

N, SHOTS, CLASSES, LENGTH, STUDENTS = 60, 10, 3, 12, 3
CONFIG = Distillation(learning_rate=1e-3, anchors=4)
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def new_student(kind: str = "bert") -> PreTrainedModel:
    given: dict[str, Any] = {
        "vocab_size": 50,
        "max_position_embeddings": LENGTH,
        "num_labels": CLASSES,
        **SHAPE,
        **QUIET,
    }
    if kind.startswith("pair-"):
        return two_towers(new_student(kind.removeprefix("pair-")))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "bert":
            return BertForSequenceClassification(BertConfig(**given))
        cut: dict[str, Any] = {"embedding_size": 5, "num_hidden_groups": 2, "classifier_dropout_prob": 0.0}
        return AlbertForSequenceClassification(AlbertConfig(**given, **cut, hidden_act="gelu", pad_token_id=0))


def new_texts() -> Taught:
    draw = torch.Generator().manual_seed(0)
    length = torch.randint(3, LENGTH + 1, (N + SHOTS,), generator=draw)
    first = torch.minimum(length - 1, torch.randint(2, LENGTH + 1, (N + SHOTS,), generator=draw))
    ids = torch.randint(5, 50, (N + SHOTS, LENGTH), generator=draw) * (torch.arange(LENGTH) < length[:, None])
    label = torch.randint(CLASSES, (N + SHOTS,), generator=draw)
    return Taught(Tokens(ids.int(), length, first), label, torch.randn(N + SHOTS, CLASSES, generator=draw) * 2)


def dev_of(texts: Taught) -> Tokens:
    return texts.tokens.take(torch.arange(20, 45))


def new_batch(
    config: Distillation = CONFIG, kind: str = "bert", precision: torch.dtype = torch.float32
) -> BatchedStudents:
    texts = new_texts()
    students = BatchedStudents(new_student(kind), STUDENTS, texts, dev_of(texts), config, precision)
    students.reset(range(STUDENTS), [10, 11, 12])
    return students


def shown(k: int) -> tuple[NDArray[np.int64], Tensor, NDArray[np.int64], NDArray[np.float64]]:
    """Candidates, weights, anchors and rates of step k, each student's own; the second one chooses nothing once."""
    rng = np.random.default_rng(k)
    rows, anchors = rng.integers(0, N, (STUDENTS, 12)), rng.integers(N, N + SHOTS, (STUDENTS, 2 * CONFIG.anchors))
    weights = torch.from_numpy(np.maximum(rng.normal(size=(STUDENTS, 12)), 0).astype(np.float32))
    weights[1] *= k > 0
    return rows, weights, anchors, np.array([1.0, 0.5, 1 - k / 10])


def learn(students: BatchedStudents, steps: int) -> Tensor:
    return torch.stack([students.step(*shown(k)[:3], 2, shown(k)[3]) for k in range(steps)])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        *(({}, kind) for kind in ("bert", "albert", "pair-bert", "pair-albert")),
        ({"frozen_embeddings": True}, "bert"),
        ({"clip": 0.05, "alpha": 1.0}, "bert"),
    ],
    ids=str,
)
@pytest.mark.parametrize("group", [256, 2])
def test_students_learn_as_if_alone(
    change: dict[str, Any], kind: str, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty updates: candidates, weights, anchors, classifiers and rates are each student's own."""
    monkeypatch.setattr(batched, "GROUP", group)
    config = replace(CONFIG, **change)
    together, texts = new_batch(config, kind), new_texts()
    losses = learn(together, 10)
    looks, dev = together.forward(*(shown(9)[i] for i in (0, 2)), 2), together.dev_pass()
    for i in range(STUDENTS):
        alone = Distiller(new_student(kind), texts, config)
        alone.reset(10 + i)
        for k in range(10):
            rows, weights, anchors, rates = shown(k)
            own = torch.from_numpy(rows[i]), weights[i], torch.from_numpy(anchors[i])
            torch.testing.assert_close(losses[k, i], alone.step(*own, 2, rates[i]), rtol=0, atol=1e-4)
        torch.testing.assert_close(looks.logits[i], alone.forward(own[0], own[2], 2).logits, rtol=0, atol=1e-4)
        torch.testing.assert_close(dev.pooled[i], alone.outputs(dev_of(texts)).pooled, rtol=0, atol=1e-4)
        learnt = alone.student.eval()(**dev_of(texts).inputs()).logits
        torch.testing.assert_close(dev.logits[i], learnt, rtol=0, atol=1e-4)
        copy = together.student(i)(**dev_of(texts).inputs()).logits
        torch.testing.assert_close(copy, learnt, rtol=0, atol=1e-4)


def test_half_precision_learns_nearly_the_same() -> None:
    exact, low = new_batch(), new_batch(precision=torch.bfloat16)
    losses = [learn(each, 10) for each in (exact, low)]
    torch.testing.assert_close(*losses, rtol=0.05, atol=0.05)
    assert not torch.equal(*losses)


def test_one_student_goes_back_while_the_others_stay() -> None:
    students = new_batch()
    learn(students, 2)
    state, others = students.state(1), students.state(0)
    first = learn(students, 1)
    kept = students.state(0)
    students.restore(state, 1)
    assert all(torch.equal(students.state(1)[name], each) for name, each in state.items())
    assert all(torch.equal(students.state(0)[name], each) for name, each in kept.items())
    assert not torch.equal(kept["rest"], others["rest"])
    assert torch.equal(learn(students, 1)[:, 1], first[:, 1])


def test_one_student_begins_anew_while_the_others_stay() -> None:
    students, start = new_batch(), new_batch()
    learn(students, 2)
    kept = students.state(0)
    students.reset([1], [11])
    assert all(torch.equal(students.state(1)[name], each) for name, each in start.state(1).items())
    assert all(torch.equal(students.state(0)[name], each) for name, each in kept.items())


def test_a_student_that_diverges_is_alone_in_that() -> None:
    students, sane = new_batch(), new_batch()
    rows, weights, anchors, rates = shown(0)
    losses = [
        each.step(rows, weights, anchors, 2, rates * spoilt) for each, spoilt in ((students, [1, 1e33, 1]), (sane, 1))
    ]
    losses = [each.step(rows, weights, anchors, 2, rates) for each in (students, sane)]
    assert not losses[0][1].isfinite()
    assert torch.equal(losses[0][[0, 2]], losses[1][[0, 2]])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="compilation and CUDA graphs need a GPU")
@pytest.mark.parametrize("kind", ["bert", "pair-bert"])
def test_on_a_gpu_students_learn_as_if_alone_in_memory(kind: str) -> None:
    """Compiled, captured and replayed on the GPU against plain operations on the CPU; shapes come again."""
    gpu, texts = torch.device("cuda"), new_texts()
    there = BatchedStudents(new_student(kind), STUDENTS, texts.to(gpu), dev_of(texts).to(gpu), CONFIG, torch.float32)
    there.reset(range(STUDENTS), [10, 11, 12])
    here = new_batch(kind=kind)
    for k in range(10):
        rows, weights, anchors, rates = shown(k % 3)
        losses = there.step(rows, weights.to(gpu), anchors, 2, rates)
        torch.testing.assert_close(losses.cpu(), here.step(rows, weights, anchors, 2, rates), rtol=0, atol=1e-4)
    found, expected = there.dev_pass().logits.cpu(), here.dev_pass().logits
    assert float((found - expected).norm() / expected.norm()) < 1e-4
