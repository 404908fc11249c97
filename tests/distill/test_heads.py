"""Heads on sentence vectors: what they read, their fit, and that a saved classifier is the one that was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.heads import (
    VectorClassifier,
    calibrate,
    head_input,
    regression,
    side_vectors,
    split_sides,
    with_head,
)
from l2a_gym.distill.teacher import keep_pieces, predict, sentence_vectors
from l2a_gym.tasks.task import Texts

TEXTS = ("the film was good", "the book and the song", "a bad and awful meal of 12")
OTHERS = ("the town was grim and cold", "warm", "the story")


@pytest.fixture
def encoder(small: dict[str, Any]) -> PreTrainedModel:
    return load_teacher(small["checkpoint"], 2, 0).base_model.eval()


def tokens(small: dict[str, Any], text: tuple[str, ...], pair: tuple[str, ...] | None = None) -> Tokens:
    return encode(load_tokenizer(small["checkpoint"]), Texts(text, np.zeros(len(text), dtype=np.int64), pair), 24)


def unit_means(encoder: PreTrainedModel, small: dict[str, Any], texts: tuple[str, ...]) -> Tensor:
    """One text at a time, without padding."""
    tokenizer = load_tokenizer(small["checkpoint"])
    with torch.no_grad():
        states = [encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in texts]
    return F.normalize(torch.cat([each.mean(1) for each in states]))


def test_texts_are_read_as_unit_vectors(small: dict[str, Any], encoder: PreTrainedModel, in_float32: None) -> None:
    weight, bias = torch.randn(3, 32), torch.tensor([0.5, 0.0, -1.0])
    logits = predict(with_head(encoder, weight, bias), tokens(small, TEXTS))
    torch.testing.assert_close(logits, F.linear(unit_means(encoder, small, TEXTS), weight, bias))


def test_sides_of_a_pair_are_read_alone(small: dict[str, Any], encoder: PreTrainedModel, in_float32: None) -> None:
    u, v = (unit_means(encoder, small, texts) for texts in (TEXTS, OTHERS))
    weight, bias = torch.randn(2, 128), torch.tensor([0.5, -1.0])
    logits = predict(with_head(encoder, weight, bias), tokens(small, TEXTS, OTHERS))
    torch.testing.assert_close(logits, F.linear(torch.cat([u, v, (u - v).abs(), u * v], 1), weight, bias))


def test_split_sides() -> None:
    """[CLS] a a [SEP] b [SEP] and [CLS] a [SEP] b b b [SEP]."""
    ids = torch.tensor([[101, 1, 2, 102, 3, 102, 0], [101, 4, 102, 5, 6, 7, 102]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0], [1] * 7])
    segment = torch.tensor([[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]])
    (first, in_first), (second, in_second) = split_sides(ids, mask, segment)
    assert [row[seen.bool()].tolist() for row, seen in zip(first, in_first, strict=True)] == [
        [101, 1, 2, 102],
        [101, 4, 102],
    ]
    assert [row[seen.bool()].tolist() for row, seen in zip(second, in_second, strict=True)] == [
        [101, 3, 102],
        [101, 5, 6, 7, 102],
    ]
    assert (first.shape[1], second.shape[1]) == (4, 5)


def test_vectors_of_a_preparation_give_what_the_classifier_reads(
    small: dict[str, Any], encoder: PreTrainedModel, in_float32: None
) -> None:
    stored = sentence_vectors(load_teacher(small["checkpoint"], 2, 0), tokens(small, TEXTS))
    with torch.no_grad():
        read = side_vectors(encoder, **tokens(small, TEXTS).inputs())
    torch.testing.assert_close(head_input(stored.float()[:, None]), head_input(read), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("sides", [1, 2])
def test_saved_classifier(small: dict[str, Any], encoder: PreTrainedModel, tmp_path: Path, sides: int) -> None:
    """The encoder in it is a standard one, and the head two tensors beside it."""
    head = torch.randn(2, 32 if sides == 1 else 128), torch.randn(2)
    before = torch.get_rng_state()
    model = with_head(encoder, *head)
    model.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert (config.num_labels, config.classifier_sides, config.model_type) == (2, sides, "bert")
    read = VectorClassifier.from_pretrained(tmp_path, config=config)
    assert torch.equal(torch.get_rng_state(), before)
    asked = tokens(small, TEXTS, OTHERS if sides == 2 else None)
    assert torch.equal(predict(read, asked), predict(model, asked))
    assert torch.equal(load_file(tmp_path / "model.safetensors")["head.bias"], model.head.bias)
    standard, found = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert found["missing_keys"] == set()
    assert all(torch.equal(a, b) for a, b in zip(standard.parameters(), encoder.parameters(), strict=True))


def test_attention_and_trimming_reach_the_encoder(small: dict[str, Any], encoder: PreTrainedModel) -> None:
    model = with_head(encoder, torch.randn(2, 32), torch.randn(2))
    for name in ("sdpa", "eager"):
        model.set_attn_implementation(name)
        assert model.base_model.config._attn_implementation == name
    before = predict(model, tokens(small, TEXTS))
    keep_pieces(model, np.arange(len(load_tokenizer(small["checkpoint"]))))
    assert torch.equal(predict(model, tokens(small, TEXTS)), before)
    assert model.base_model.get_input_embeddings().num_embeddings == model.config.vocab_size


@pytest.mark.parametrize("classes", [2, 4])
def test_regression_is_scikit_learns_with_the_penalty_that_dev_prefers(classes: int) -> None:
    rng = np.random.default_rng(0)
    centres = F.normalize(torch.from_numpy(rng.normal(size=(classes, 16)))).float()

    def draw(n: int, noise: float) -> tuple[Tensor, Tensor]:
        label = torch.arange(n) % classes
        return F.normalize(centres[label] + noise * torch.from_numpy(rng.normal(size=(n, 16))).float()), label

    train, dev = draw(200, 0.4), draw(2000, 0.4)
    weight, bias = regression(*train, *dev)
    assert (weight.shape, bias.shape, weight.dtype) == ((classes, 16), (classes,), torch.float32)
    logits = F.linear(dev[0], weight, bias)
    fits = [LogisticRegression(C=c, max_iter=1000).fit(*(x.numpy() for x in train)) for c in 10.0 ** np.arange(-2, 4)]
    accuracy = float((logits.argmax(1) == dev[1]).float().mean())
    assert accuracy >= max(fit.score(dev[0].numpy(), dev[1].numpy()) for fit in fits) - 0.0051
    odds = [fit.predict_proba(dev[0].numpy()) for fit in fits]
    assert min(np.abs(logits.softmax(1).numpy() - each).max() for each in odds) < 1e-3


@pytest.mark.parametrize("sureness", [0.05, 1.0, 20.0])
def test_calibration_undoes_what_a_head_is_too_sure_of(encoder: PreTrainedModel, sureness: float) -> None:
    """Labels are drawn from the probabilities of true logits; the head is off by a factor."""
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.normal(size=(4000, 3))) * 2
    label = torch.from_numpy(np.array([rng.choice(3, p=p) for p in truth.softmax(1).numpy()]))
    weight, bias = torch.randn(3, 32), torch.randn(3)
    model = with_head(encoder, weight.clone(), bias.clone())
    calibrate(model, truth * sureness, label)
    torch.testing.assert_close(model.head.weight.detach() * sureness, weight, rtol=0.1, atol=0.0)
    torch.testing.assert_close(model.head.bias.detach() * sureness, bias, rtol=0.1, atol=0.0)
