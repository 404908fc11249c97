"""A small random teacher: which weights it keeps, what early stopping keeps, and that chance has one source."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.data import Labelled
from l2a_gym.distill.encode import count_pieces, encode, trim_vocabulary
from l2a_gym.distill.teacher import keep_pieces, predict, sentence_vectors
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Texts


@pytest.fixture(scope="module")
def texts(small: dict[str, Any]) -> tuple[Labelled, Labelled]:
    """The small task's shots and clean source texts, and its dev split."""
    task = make_task(small["task"])
    tokenizer = load_tokenizer(small["checkpoint"])

    def labelled(part: Texts) -> Labelled:
        return Labelled(encode(tokenizer, part, task.max_length), torch.from_numpy(part.label))

    clean = task.sources["books"].take(np.flatnonzero(~task.flipped["books"]))
    more = Texts(task.train.text + clean.text, np.concatenate([task.train.label, clean.label]))
    return labelled(more), labelled(task.dev)


def equal(a: PreTrainedModel, b: PreTrainedModel) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def by_model(model: PreTrainedModel, texts: Labelled, rows: Tensor) -> tuple[Tensor, Tensor]:
    """One text at a time, without padding."""
    logits, vectors = [], []
    for row in rows.tolist():
        ids = texts.tokens.ids[row, : texts.tokens.length[row]].long()[None]
        with torch.no_grad():
            out = model(input_ids=ids, output_hidden_states=True)
        logits.append(out.logits)
        vectors.append(out.hidden_states[-1].mean(1))
    return torch.cat(logits).float(), torch.cat(vectors).float()


def test_prediction_keeps_the_order(small: dict[str, Any], texts: tuple[Labelled, Labelled]) -> None:
    """In float64, which autocast leaves alone."""
    _, dev = texts
    model = load_teacher(small["checkpoint"], 2, seed=0).double().eval()
    rows = torch.arange(len(dev.tokens)).flip(0)
    expected = by_model(model, dev, rows)
    assert len(set(dev.tokens.length.tolist())) > 1
    for batch in (1, 5, 64):
        logits, vectors = (ask(model, dev.tokens.take(rows), batch) for ask in (predict, sentence_vectors))
        assert (logits.dtype, vectors.dtype) == (torch.float32, torch.float16)
        torch.testing.assert_close(logits, expected[0])
        torch.testing.assert_close(vectors[:, 0], expected[1].half(), rtol=1e-3, atol=1e-6)


def test_prediction_switches_dropout_off(small: dict[str, Any], texts: tuple[Labelled, Labelled]) -> None:
    model = load_teacher(small["checkpoint"], 2, seed=0).train()
    for ask in (predict, sentence_vectors):
        first, second = (ask(model, texts[1].tokens) for _ in range(2))
        assert torch.equal(first, second)


def checkpoint_with_padding_last(small: dict[str, Any], folder: Path) -> str:
    """The small teacher's tokenizer with [PAD] moved to the end, and a random model for it."""
    pieces = sorted(load_tokenizer(small["checkpoint"]).get_vocab(), key=lambda piece: (piece == "[PAD]", piece))
    shutil.copytree(small["checkpoint"], folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    with torch.random.fork_rng():
        config = BertConfig(vocab_size=len(pieces), pad_token_id=len(pieces) - 1, max_position_embeddings=32, **shape)
        BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("padding_last", [False, True])
def test_trimmed_teacher_says_what_the_whole_one_says(
    small: dict[str, Any], tmp_path: Path, padding_last: bool
) -> None:
    checkpoint = checkpoint_with_padding_last(small, tmp_path / "last") if padding_last else small["checkpoint"]
    dev = make_task(small["task"]).dev.take(np.arange(6))
    tokenizer = load_tokenizer(checkpoint)
    tokens = encode(tokenizer, dev, 16)
    assert tokens.pad == (len(tokenizer) - 1 if padding_last else 0)
    small_tokenizer, kept = trim_vocabulary(tokenizer, count_pieces(tokenizer, dev, 16))
    assert len(kept) < len(tokenizer)
    whole, trimmed = (load_teacher(checkpoint, 2, 0).double() for _ in range(2))
    keep_pieces(trimmed, kept)
    table = trimmed.get_input_embeddings()
    assert torch.equal(table.weight, whole.get_input_embeddings().weight[torch.from_numpy(kept)])
    assert trimmed.config.vocab_size == table.num_embeddings == len(kept)
    assert table.padding_idx == small_tokenizer.pad_token_id
    for ask in (predict, sentence_vectors):
        answers = ask(trimmed, encode(small_tokenizer, dev, 16))
        torch.testing.assert_close(ask(whole, tokens), answers, rtol=1e-3, atol=1e-6)


def test_whole_vocabulary_is_left_as_it_is(small: dict[str, Any]) -> None:
    every = np.arange(len(load_tokenizer(small["checkpoint"])))
    whole, kept = (load_teacher(small["checkpoint"], 2, 0) for _ in range(2))
    keep_pieces(kept, every)
    assert equal(whole, kept)
