"""The masked language model learns, and its walks change what may change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from l2a_gym.augment.chain import ChainConfig
from l2a_gym.augment.masked_lm import (
    MaskedLM,
    MaskedTraining,
    generate,
    masked_perplexity,
    train_masked_lm,
)
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.teacher import load_tokenizer
from l2a_gym.errors import UserError
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Texts


@pytest.fixture(scope="module")
def texts(small: dict[str, Any]) -> dict[str, Tokens]:
    task, tokenizer = make_task(small["task"]), load_tokenizer(small["checkpoint"])
    parts = {"books": task.sources["books"], "dev": task.dev, "train": task.train}
    return {name: encode(tokenizer, part, task.max_length) for name, part in parts.items()}


@pytest.fixture(scope="module")
def trained(small: dict[str, Any], texts: dict[str, Tokens]) -> MaskedLM:
    lm = MaskedLM(small["checkpoint"], seed=0)
    config = MaskedTraining(updates=150, batch=32, learning_rate=3e-3)
    train_masked_lm(lm, texts["books"], config, seed=0)
    return lm


def test_a_checkpoint_without_a_head_gets_a_tied_one(small: dict[str, Any]) -> None:
    lm = MaskedLM(small["checkpoint"], seed=0)
    assert not lm.has_head
    assert lm.model.get_output_embeddings().weight is lm.model.get_input_embeddings().weight


def test_a_checkpoint_with_a_head_keeps_it(small: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = load_tokenizer(small["checkpoint"])
    tokenizer.save_pretrained(tmp_path)
    with torch.random.fork_rng():
        shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        own = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **shape))
    own.save_pretrained(tmp_path)
    lm = MaskedLM(str(tmp_path), seed=0)
    assert lm.has_head
    for found, expected in zip(lm.head.parameters(), own.cls.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_a_new_head_expects_the_tokens_frequencies(small: dict[str, Any]) -> None:
    lm = MaskedLM(small["checkpoint"], seed=0)
    lm.expect(torch.tensor([[7, 7, 7, 9]]))
    bias = lm.head.predictions.decoder.bias.detach().exp()
    size = len(bias)
    assert bias.sum().item() == pytest.approx(1, abs=1e-5)
    assert bias[[7, 9, 0]].tolist() == pytest.approx([4 / (size + 4), 2 / (size + 4), 1 / (size + 4)])


def test_training_lowers_the_perplexity_of_unseen_texts(
    small: dict[str, Any], texts: dict[str, Tokens], trained: MaskedLM
) -> None:
    before = masked_perplexity(MaskedLM(small["checkpoint"], seed=0), texts["dev"], seed=1)
    after = masked_perplexity(trained, texts["dev"], seed=1)
    assert after < 15 < 60 < before
    assert after == masked_perplexity(trained, texts["dev"], seed=1)


def test_hide_masks_its_share_and_says_what_was_there(texts: dict[str, Tokens], trained: MaskedLM) -> None:
    part = texts["dev"]
    masked, sites, truth = trained.hide(part, 0.3)
    free = trained.free(part)
    assert free.sum(1).tolist() == (part.length - 2).tolist()  # without [CLS] and [SEP]
    assert torch.equal((masked.ids == trained.mask).sum(1), (free.sum(1) * 0.3).round().long())
    assert bool(free[sites].all())
    assert torch.equal(part.ids[sites].long(), truth)
    restored = masked.ids.clone()
    restored[sites] = truth.int()
    assert torch.equal(restored, part.ids)


def test_walks_change_words_alone(texts: dict[str, Tokens], trained: MaskedLM) -> None:
    starts, seen = texts["train"], []
    for rows, ids in generate(trained, starts, ChainConfig(), copies=3, seed=0, batch=5):
        assert ids.shape == (len(rows), 3, starts.ids.shape[1])
        seen += rows.tolist()
        before = starts.ids[torch.from_numpy(rows)].long()[:, None].expand_as(ids)
        free = trained.free(starts.take(torch.from_numpy(rows)))[:, None].expand_as(ids)
        assert torch.equal(ids[~free], before[~free])
        assert not bool(trained.special[ids[free]].any())
        assert 0.1 < (ids != before)[free].double().mean() < 0.9
    assert sorted(seen) == list(range(len(starts)))


def test_the_batch_does_not_matter(texts: dict[str, Tokens], trained: MaskedLM) -> None:
    def every(batch: int, seed: int) -> Tensor:
        parts = list(generate(trained, texts["train"], ChainConfig(), 2, seed, batch))
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        return torch.cat([ids for _, ids in parts])[order]

    assert (every(3, 0) == every(16, 0)).double().mean() > 0.99  # padding changes the last bits
    assert not torch.equal(every(16, 0), every(16, 1))


def test_of_a_pair_one_side_changes(small: dict[str, Any], trained: MaskedLM) -> None:
    task, tokenizer = make_task(small["task"]), load_tokenizer(small["checkpoint"])
    pairs = Texts(task.train.text, task.train.label, tuple(reversed(task.train.text)))
    starts = encode(tokenizer, pairs, 32)
    sides = set()
    for rows, ids in generate(trained, starts, ChainConfig(burn_in=8), copies=1, seed=0):
        for row, new in zip(rows.tolist(), ids[:, 0], strict=True):
            changed = (new != starts.ids[row]).nonzero()[:, 0]
            assert len(changed)
            first = changed < starts.first[row]
            assert bool(first.all() or (~first).all())
            sides.add(bool(first[0]))
    assert sides == {True, False}


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^the teacher .*nowhere.* can't be loaded"):
        MaskedLM(str(tmp_path / "nowhere"), seed=0)
