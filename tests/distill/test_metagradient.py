"""Metagradients against central differences of the dev loss, in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
)

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.data import Labelled, Taught
from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.metagradient import TapedDistiller

N, SHOTS, CLASSES, LENGTH, STEPS, UPDATES = 40, 10, 3, 12, 2, 2
CONFIG = Distillation(learning_rate=1e-2, anchors=4)
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "num_labels": 3}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def new_student(kind: str = "bert") -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "bert":
            return BertForSequenceClassification(
                BertConfig(vocab_size=50, max_position_embeddings=LENGTH, **SHAPE, **QUIET)
            )
        config = AlbertConfig(
            vocab_size=50,
            max_position_embeddings=LENGTH,
            embedding_size=5,
            num_hidden_groups=2,
            classifier_dropout_prob=0.0,
            hidden_act="gelu",
            **SHAPE,
            **QUIET,
        )
        return AlbertForSequenceClassification(config)


def new_texts() -> Taught:
    """Texts of 3 to 12 tokens; the last ten are the shots."""
    draw = torch.Generator().manual_seed(0)
    length = torch.randint(3, LENGTH + 1, (N + SHOTS,), generator=draw)
    ids = torch.randint(5, 50, (N + SHOTS, LENGTH), generator=draw) * (torch.arange(LENGTH) < length[:, None])
    label = torch.randint(CLASSES, (N + SHOTS,), generator=draw)
    teacher = torch.randn(N + SHOTS, CLASSES, generator=draw, dtype=torch.float64)
    return Taught(Tokens(ids.int(), length, length), label, teacher)


TEXTS = new_texts()
DEV = Labelled(TEXTS.tokens.take(torch.arange(25)), TEXTS.label[:25])
DRAW = torch.Generator().manual_seed(1)
ROWS = torch.stack([torch.randperm(N, generator=DRAW)[:12] for _ in range(STEPS)])
ANCHORS = torch.randint(N, N + SHOTS, (STEPS, UPDATES * CONFIG.anchors), generator=DRAW)
WEIGHTS = torch.rand(STEPS, 12, generator=DRAW, dtype=torch.float64).add(-0.2).clamp(min=0)


def learn(distiller: Distiller, weights: Tensor) -> Tensor:
    """The dev loss after two steps of two updates, the second at half the learning rate."""
    distiller.reset(0)
    for rows, own, anchors, rate in zip(ROWS, weights, ANCHORS, (1.0, 0.5), strict=True):
        distiller.step(rows, own, anchors, UPDATES, rate)
    return F.cross_entropy(distiller.outputs(DEV.tokens).logits, DEV.label)


CASES = [("bert", {}), ("bert", {"clip": 0.1}), ("albert", {"frozen_embeddings": True})]


@pytest.mark.parametrize(("kind", "change"), CASES, ids=str)
def test_it_equals_central_differences(kind: str, change: dict[str, float]) -> None:
    distiller = TapedDistiller(new_student(kind).double(), TEXTS, replace(CONFIG, **change))
    learn(distiller, WEIGHTS)
    found, size = distiller.metagradient(DEV), 1e-6
    for t, i in [(0, 0), (0, 3), (1, 2), (1, 9)]:
        moved = torch.zeros_like(WEIGHTS)
        moved[t, i] = size
        expected = (learn(distiller, WEIGHTS + moved) - learn(distiller, WEIGHTS - moved)) / (2 * size)
        torch.testing.assert_close(found[t, i], expected, rtol=1e-4, atol=0)


def test_scaling_all_weights_of_an_update_changes_nothing() -> None:
    distiller = TapedDistiller(new_student().double(), TEXTS, CONFIG)
    learn(distiller, WEIGHTS)
    found, order = distiller.metagradient(DEV), TEXTS.tokens.length[ROWS].argsort(dim=1, stable=True)
    along = (found * WEIGHTS).gather(1, order).view(STEPS, UPDATES, -1)
    assert along.abs().amax() > 1e-4
    torch.testing.assert_close(along.sum(2), torch.zeros(STEPS, UPDATES, dtype=torch.float64), rtol=0, atol=1e-12)


def test_updates_that_drop_all_candidates_have_none() -> None:
    distiller = TapedDistiller(new_student().double(), TEXTS, CONFIG)
    learn(distiller, WEIGHTS * torch.tensor([[1.0], [0.0]]))
    found = distiller.metagradient(DEV)
    assert found.isfinite().all()
    assert found[0].abs().amax() > 0
    assert not found[1].any()


def test_the_student_stays_as_it_was_after_its_training() -> None:
    distiller, plain = (kind(new_student(), TEXTS, CONFIG) for kind in (TapedDistiller, Distiller))
    losses = [learn(each, WEIGHTS.float()) for each in (distiller, plain)]
    distiller.metagradient(DEV)
    assert losses[0] == losses[1]
    for name, value in plain.student.state_dict().items():
        assert torch.equal(distiller.student.state_dict()[name], value), name
