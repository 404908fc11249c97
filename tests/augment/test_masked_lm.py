"""The masked language model learns, and its walks change what may change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from l2a_gym.augment.masked_lm import (
    MaskedLM,
    MaskedTraining,
    generate,
    masked_perplexity,
    train_masked_lm,
)
from l2a_gym.augment.settings import ChainConfig
from l2a_gym.checked import write_array
from l2a_gym.distill.checkpoint import load_tokenizer
from l2a_gym.distill.encode import Tokens, count_pieces, encode
from l2a_gym.errors import UserError
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Texts

GOOD = ["good", "great", "fine", "lovely", "warm", "bright", "clever"]


@pytest.fixture(scope="module")
def texts(small: dict[str, Any]) -> dict[str, Tokens]:
    task, tokenizer = make_task(small["task"]), load_tokenizer(small["checkpoint"])
    parts = {"books": task.sources["books"], "dev": task.dev, "train": task.train}
    return {name: encode(tokenizer, part, task.max_length) for name, part in parts.items()}


@pytest.fixture(scope="module")
def trained(small: dict[str, Any], texts: dict[str, Tokens]) -> MaskedLM:
    lm = MaskedLM(small["checkpoint"], seed=0)
    config = MaskedTraining(batch=32)
    train_masked_lm(lm, texts["books"], 150, 3e-3, config, seed=0)
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


def test_a_trimmed_model_scores_the_pieces_it_kept_as_before(small: dict[str, Any], tmp_path: Path) -> None:
    task, whole, lm = (
        make_task(small["task"]),
        MaskedLM(small["checkpoint"], seed=0),
        MaskedLM(small["checkpoint"], seed=0),
    )
    for model in (whole, lm):
        model.expect(torch.arange(whole.special.shape[0]).repeat_interleave(torch.arange(whole.special.shape[0])))
    lm.trim(count_pieces(lm.tokenizer, task.train, task.max_length))
    assert len(lm.special) < len(whole.special)
    old = torch.tensor(
        whole.tokenizer.convert_tokens_to_ids(lm.tokenizer.convert_ids_to_tokens(range(len(lm.special))))
    )
    before, after = (encode(each.tokenizer, task.train, task.max_length) for each in (whole, lm))
    assert torch.equal(old[after.ids.long()], before.ids.long())
    sites = torch.arange(len(before)), torch.ones(len(before), dtype=torch.long)
    torch.testing.assert_close(lm.logits(after, sites), whole.logits(before, sites)[:, old], rtol=0, atol=1e-5)
    assert lm.model.get_output_embeddings().weight is lm.model.get_input_embeddings().weight
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = MaskedLM(str(tmp_path), seed=1)
    assert again.has_head
    torch.testing.assert_close(again.logits(after, sites), lm.logits(after, sites))


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


def walked(
    lm: MaskedLM, starts: Tokens, config: ChainConfig, seed: int = 0, **options: Any
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    for rows, ids in generate(lm, starts, config, seed, **options):
        yield rows, torch.from_numpy(ids)


def test_walks_change_words_alone(texts: dict[str, Tokens], trained: MaskedLM) -> None:
    starts, seen = texts["train"], []
    for rows, ids in walked(trained, starts, ChainConfig(keep=3), batch=5):
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
        parts = list(walked(trained, texts["train"], ChainConfig(keep=2), seed=seed, batch=batch))
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        return torch.cat([ids for _, ids in parts])[order]

    assert (every(3, 0) == every(16, 0)).double().mean() > 0.99  # padding changes the last bits
    assert not torch.equal(every(16, 0), every(16, 1))


def test_of_a_pair_one_side_changes(small: dict[str, Any], trained: MaskedLM) -> None:
    task, tokenizer = make_task(small["task"]), load_tokenizer(small["checkpoint"])
    pairs = Texts(task.train.text, task.train.label, tuple(reversed(task.train.text)))
    starts = encode(tokenizer, pairs, 32)
    sides = set()
    for rows, ids in walked(trained, starts, ChainConfig(burn_in=8, keep=1)):
        for row, new in zip(rows.tolist(), ids[:, 0], strict=True):
            changed = (new != starts.ids[row]).nonzero()[:, 0]
            assert len(changed)
            first = changed < starts.first[row]
            assert bool(first.all() or (~first).all())
            sides.add(bool(first[0]))
    assert sides == {True, False}


def test_protected_words_stay(texts: dict[str, Tokens], trained: MaskedLM) -> None:
    protected = torch.isin(texts["train"].ids, trained.pieces(("was", "film")))
    assert bool(protected.any())
    config = ChainConfig(protected=("was", "film"), keep=1)
    for rows, ids in walked(trained, texts["train"], config):
        before, fixed = texts["train"].ids[torch.from_numpy(rows)], protected[torch.from_numpy(rows)]
        assert torch.equal(ids[:, 0][fixed], before[fixed].long())


def test_walks_that_are_done_are_not_walked_again(texts: dict[str, Tokens], trained: MaskedLM, tmp_path: Path) -> None:
    """What lies in the folder counts: an interrupted generation goes on, and ends with the same texts."""
    config = ChainConfig(keep=2)
    whole = [ids for _, ids in walked(trained, texts["train"], config, batch=4)]
    begun = walked(trained, texts["train"], config, batch=4, parts=tmp_path)
    for _ in range(3):
        next(begun)
    parts = sorted(tmp_path.iterdir())
    assert [path.name for path in parts] == ["00000.npy", "00001.npy", "00002.npy"]
    write_array(parts[0], np.full_like(whole[0].numpy(), 7))
    parts[1].unlink()
    parts[2].write_bytes(parts[2].read_bytes()[:-100] + bytes(100))  # damaged: walked again
    again = [ids for _, ids in walked(trained, texts["train"], config, batch=4, parts=tmp_path)]
    assert bool((again[0] == 7).all())
    for a, b in zip(again[1:], whole[1:], strict=True):
        assert torch.equal(a, b)


def test_a_model_that_sees_labels_learns_what_they_mean(small: dict[str, Any]) -> None:
    """Texts end with a good word or a bad one: behind the mask there, the label says which; it survives saving."""
    task = make_task(small["task"])
    lm = MaskedLM(small["checkpoint"], seed=0, classes=2)
    clean = task.dev
    tokens, label = encode(lm.tokenizer, clean, task.max_length), torch.from_numpy(clean.label)
    train_masked_lm(lm, tokens, 250, 3e-3, MaskedTraining(batch=32, conditional=True), 0, label)
    rows = torch.arange(len(tokens))
    sites = rows, tokens.length - 2
    ids = tokens.ids.clone()
    ids[sites] = lm.mask
    good = torch.isin(torch.arange(len(lm.special)), lm.pieces(GOOD).long())
    masked = Tokens(ids, tokens.length, tokens.first, tokens.pad)
    share = {}
    for code in (0, 1):
        with torch.no_grad():
            p = lm.logits(masked, sites, torch.full((len(tokens),), code)).softmax(1)
        share[code] = float(p[:, good].sum(1).mean())
    assert share[task.labels.index("positive")] > 0.6
    assert share[task.labels.index("negative")] < 0.4


def test_a_model_that_sees_labels_is_the_same_after_saving(
    small: dict[str, Any], texts: dict[str, Tokens], tmp_path: Path
) -> None:
    lm = MaskedLM(small["checkpoint"], seed=0, classes=2)
    table = lm.model.get_parameter("bert.embeddings.token_type_embeddings.weight")
    assert table.shape == (4, 32)
    table.data.normal_(generator=torch.Generator().manual_seed(0))
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = MaskedLM(str(tmp_path), seed=1)
    assert (again.segments, again.has_head) == (2, True)
    part, label = texts["dev"], torch.arange(len(texts["dev"])) % 2
    sites = torch.arange(len(part)), torch.ones(len(part), dtype=torch.long)
    with torch.no_grad():
        assert torch.equal(lm.logits(part, sites, label), again.logits(part, sites, label))
        assert not torch.equal(lm.logits(part, sites, label), lm.logits(part, sites, 1 - label))


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^the teacher .*nowhere.* can't be loaded"):
        MaskedLM(str(tmp_path / "nowhere"), seed=0)
