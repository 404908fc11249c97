"""A small random checkpoint: what fine-tuning keeps, what a teacher is made of, and that chance has one source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertForSequenceClassification, PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.data import Labelled
from l2a_gym.distill.encode import encode
from l2a_gym.distill.finetune import FineTuning, WithVectors, fine_tune, make_teacher
from l2a_gym.distill.heads import VectorClassifier, head_input
from l2a_gym.distill.regression import Head, regression
from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Texts

TUNING = FineTuning(updates=40, batch=16, learning_rate=1e-2)


@pytest.fixture(scope="module")
def parts(small: dict[str, Any]) -> tuple[Texts, Texts]:
    """The small task's shots with clean source texts, and its dev split."""
    task = make_task(small["task"])
    clean = task.sources["books"].take(np.flatnonzero(~task.flipped["books"]))
    return Texts(task.train.text + clean.text, np.concatenate([task.train.label, clean.label])), task.dev


def with_vectors(small: dict[str, Any], texts: Texts) -> WithVectors:
    tokens = encode(load_tokenizer(small["checkpoint"]), texts, 40)
    model = load_teacher(small["checkpoint"], 2, 0)
    return WithVectors(tokens, torch.from_numpy(texts.label), sentence_vectors(model, tokens))


@pytest.fixture(scope="module")
def texts(small: dict[str, Any], parts: tuple[Texts, Texts]) -> tuple[WithVectors, WithVectors]:
    return with_vectors(small, parts[0]), with_vectors(small, parts[1])


def tuned(small: dict[str, Any], train: Labelled, dev: Labelled, config: FineTuning, seed: int = 0) -> PreTrainedModel:
    return fine_tune(load_teacher(small["checkpoint"], 2, seed=0), train, dev, config, seed=seed, name="made-up")


def loss(model: PreTrainedModel, texts: Labelled) -> float:
    return float(F.cross_entropy(predict(model, texts.tokens), texts.label))


def accuracy(model: PreTrainedModel, texts: Labelled) -> float:
    return float((predict(model, texts.tokens).argmax(1) == texts.label).float().mean())


def equal(a: PreTrainedModel, b: PreTrainedModel) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_fine_tuning_learns(small: dict[str, Any], texts: tuple[WithVectors, WithVectors]) -> None:
    train, dev = texts
    before = load_teacher(small["checkpoint"], 2, seed=0)
    after = tuned(small, train, dev, replace(TUNING, patience=50))
    assert loss(after, dev) < loss(before, dev) - 0.1
    assert accuracy(after, dev) > accuracy(before, dev) + 0.1


def test_start_is_kept_where_dev_says_the_contrary(
    small: dict[str, Any], texts: tuple[WithVectors, WithVectors]
) -> None:
    train, dev = texts
    learnt = tuned(small, train, dev, replace(TUNING, patience=50))
    contrary = replace(train, label=1 - train.label)
    kept = fine_tune(learnt, contrary, dev, replace(TUNING, patience=50), seed=0, name="made-up")
    assert equal(kept, tuned(small, train, dev, replace(TUNING, patience=50)))
    assert accuracy(learnt, dev) < accuracy(kept, dev) - 0.1


def test_no_look_is_better_than_what_is_kept(small: dict[str, Any], texts: tuple[WithVectors, WithVectors]) -> None:
    """With a rate that is far too high dev goes up and down; fewer looks at the same states find nothing better."""
    train, dev = texts
    wild = replace(TUNING, learning_rate=0.1, patience=50)
    kept = tuned(small, train, dev, wild)
    seen = [accuracy(tuned(small, train, dev, replace(wild, looks=looks)), dev) for looks in (1, 2, 5)]
    assert accuracy(kept, dev) >= max(seen) - 0.005


def test_patience_ends_the_tuning(small: dict[str, Any], texts: tuple[WithVectors, WithVectors]) -> None:
    """What comes after the end can't matter: a patient tuner finds a better state later on."""
    train, dev = texts
    slow = FineTuning(updates=60, batch=16, learning_rate=3e-3, looks=60)
    hasty, patient = (tuned(small, train, dev, replace(slow, patience=p)) for p in (1, 60))
    assert accuracy(patient, dev) > accuracy(hasty, dev)


def test_updates_follow_the_number_of_texts(small: dict[str, Any], texts: tuple[WithVectors, WithVectors]) -> None:
    train, dev = texts
    few = Labelled(train.tokens.take(torch.arange(20)), train.label[:20])
    bounded = replace(TUNING, passes=2, looks=50, patience=50)  # 2 passes over 20 texts are 3 batches of 16
    assert equal(tuned(small, few, dev, bounded), tuned(small, few, dev, replace(bounded, updates=3)))


def test_seed_is_all_that_chance_depends_on(small: dict[str, Any], texts: tuple[WithVectors, WithVectors]) -> None:
    train, dev = texts
    short = replace(TUNING, updates=8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = tuned(small, train, dev, short)
    predict(first, dev.tokens)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert equal(tuned(small, train, dev, short), first)
    assert not equal(tuned(small, train, dev, short, seed=1), first)
    heads = [load_teacher(small["checkpoint"], 2, seed).classifier.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def teacher(small: dict[str, Any], train: WithVectors, dev: WithVectors, config: FineTuning) -> PreTrainedModel:
    return make_teacher(load_teacher(small["checkpoint"], 2, 0), train, dev, config, seed=0, name="made-up")[0]


def regression_head(train: WithVectors, dev: WithVectors) -> Head:
    inputs, held_out = (head_input(part.vectors.float()) for part in (train, dev))
    return regression(inputs, train.label, held_out, dev.label)


def regressed(train: WithVectors, dev: WithVectors) -> Tensor:
    """Logits on dev of the regression that a teacher starts from."""
    return regression_head(train, dev)(head_input(dev.vectors.float()))


def test_a_teacher_starts_from_the_regression(
    small: dict[str, Any], texts: tuple[WithVectors, WithVectors], in_float32: None
) -> None:
    """Learning that ruins it leaves the regression; the checkpoint that was given stays as it is."""
    train, dev = texts
    contrary = replace(train, label=1 - train.label)
    start = teacher(small, train, dev, replace(TUNING, updates=0))
    assert isinstance(start, VectorClassifier)
    scale = start.head.weight.norm() / regression_head(train, dev).weight.norm()
    torch.testing.assert_close(predict(start, dev.tokens) / scale, regressed(train, dev), rtol=1e-2, atol=0.05)
    ruined = teacher(small, train, dev, replace(TUNING, learning_rate=10.0))
    assert equal(ruined, start)
    assert accuracy(start, dev) > accuracy(teacher(small, contrary, dev, replace(TUNING, updates=0)), dev) + 0.2


def test_a_teacher_is_tuned_from_there(small: dict[str, Any], texts: tuple[WithVectors, WithVectors]) -> None:
    train, dev = texts
    start, end = (teacher(small, train, dev, replace(TUNING, learning_rate=1e-3, updates=n)) for n in (0, 40))
    assert not equal(start, end)
    assert accuracy(end, dev) >= accuracy(start, dev) - 0.005
    assert loss(end, dev) < loss(start, dev)


def test_a_trained_classifier_keeps_its_own_way(
    small: dict[str, Any], texts: tuple[WithVectors, WithVectors], tmp_path: Path
) -> None:
    train, dev = texts
    tuned(small, train, dev, replace(TUNING, patience=50)).save_pretrained(tmp_path)
    model = load_teacher(str(tmp_path), 2, 0)
    before = predict(model, dev.tokens)
    kept, head = make_teacher(model, train, dev, replace(TUNING, updates=0), seed=0, name="made-up")
    assert isinstance(kept, BertForSequenceClassification)
    assert torch.equal(predict(kept, dev.tokens), before)
    logits = head(head_input(dev.vectors.float()))  # its regression is calibrated
    assert F.cross_entropy(logits, dev.label) <= F.cross_entropy(regressed(train, dev), dev.label)


def paired(texts: Texts, same: bool) -> Texts:
    """Pairs of reviews, to be told whether they agree (``same``) or whether the second is good."""
    order = np.random.default_rng(0).permutation(len(texts))
    label = (texts.label == texts.label[order]).astype(np.int64) if same else texts.label[order]
    return Texts(texts.text, label, tuple(texts.text[i] for i in order))


def test_pairs_take_the_better_of_regression_and_cross_encoder(
    small: dict[str, Any], parts: tuple[Texts, Texts]
) -> None:
    """Untrained, a cross-encoder can't be the better one; well trained, here it is."""
    train, dev = (with_vectors(small, paired(part, same=False)) for part in parts)
    frozen = teacher(small, train, dev, replace(TUNING, updates=0))
    assert isinstance(frozen, VectorClassifier)
    assert frozen.head.weight.shape == (2, 4 * 32)
    torch.testing.assert_close(predict(frozen, dev.tokens).argmax(1), regressed(train, dev).argmax(1))
    train, dev = (with_vectors(small, paired(part, same=True)) for part in parts)
    frozen, best = (teacher(small, train, dev, replace(TUNING, updates=n, learning_rate=3e-3)) for n in (0, 400))
    assert accuracy(best, dev) >= accuracy(frozen, dev) - 0.005
