"""Heads on sentence vectors: what they read, and that a saved classifier is the one that was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.heads import VectorClassifier, head_input, side_vectors, split_sides, with_head
from l2a_gym.distill.regression import Head
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
    logits = predict(with_head(encoder, Head(weight, bias)), tokens(small, TEXTS))
    torch.testing.assert_close(logits, F.linear(unit_means(encoder, small, TEXTS), weight, bias))


def test_sides_of_a_pair_are_read_alone(small: dict[str, Any], encoder: PreTrainedModel, in_float32: None) -> None:
    u, v = (unit_means(encoder, small, texts) for texts in (TEXTS, OTHERS))
    weight, bias = torch.randn(2, 128), torch.tensor([0.5, -1.0])
    logits = predict(with_head(encoder, Head(weight, bias)), tokens(small, TEXTS, OTHERS))
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
    torch.testing.assert_close(head_input(stored.float()), head_input(read), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("sides", [1, 2])
def test_saved_classifier(small: dict[str, Any], encoder: PreTrainedModel, tmp_path: Path, sides: int) -> None:
    """The encoder in it is a standard one, and the head two tensors beside it."""
    head = torch.randn(2, 32 if sides == 1 else 128), torch.randn(2)
    before = torch.get_rng_state()
    model = with_head(encoder, Head(*head))
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
    model = with_head(encoder, Head(torch.randn(2, 32), torch.randn(2)))
    for name in ("sdpa", "eager"):
        model.set_attn_implementation(name)
        assert model.base_model.config._attn_implementation == name
    before = predict(model, tokens(small, TEXTS))
    keep_pieces(model, np.arange(len(load_tokenizer(small["checkpoint"]))))
    assert torch.equal(predict(model, tokens(small, TEXTS)), before)
    assert model.base_model.get_input_embeddings().num_embeddings == model.config.vocab_size
