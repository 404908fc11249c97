"""Tokens, and the trimmed vocabulary: what it must not change, on real texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from l2a_gym.distill.checkpoint import load_tokenizer
from l2a_gym.distill.encode import Tokens, count_pieces, encode, shuffled_batches, trim_vocabulary, whole_words
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Texts

Trimmed = tuple[PreTrainedTokenizerFast, np.ndarray]


def texts(*text: str, pair: tuple[str, ...] | None = None) -> Texts:
    return Texts(text, np.zeros(len(text), dtype=np.int64), pair)


def pieces(tokenizer: PreTrainedTokenizerFast, tokens: Tokens) -> list[list[str]]:
    whole = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return [[whole[i] for i in row[:n]] for row, n in zip(tokens.ids.tolist(), tokens.length.tolist(), strict=True)]


@pytest.fixture(scope="module")
def full() -> PreTrainedTokenizerFast:
    return load_tokenizer("embedded")


@pytest.fixture(scope="module")
def real() -> Texts:
    """Some thousand texts of the default's four domains."""
    task = make_task("hutto/nyt-64")
    some = [text for source in task.sources.values() for text in source.text[:900]]
    return texts(*task.train.text, *task.dev.text, *some)


@pytest.fixture(scope="module")
def trimmed(full: PreTrainedTokenizerFast, real: Texts) -> Trimmed:
    return trim_vocabulary(full, count_pieces(full, real, 48))


def test_pieces_of_the_texts_stay(full: PreTrainedTokenizerFast, real: Texts, trimmed: Trimmed) -> None:
    tokenizer, kept = trimmed
    old, new = encode(full, real, 48), encode(tokenizer, real, 48)
    assert len(real) > 3000
    assert pieces(tokenizer, new) == pieces(full, old)
    assert torch.equal(torch.from_numpy(kept)[new.ids.long()], old.ids.long())
    assert torch.equal(new.length, old.length)
    assert len(tokenizer) == len(kept) < len(full) / 2
    assert (np.diff(kept) > 0).all()


def test_unused_pieces_go_and_single_characters_stay(
    full: PreTrainedTokenizerFast, real: Texts, trimmed: Trimmed
) -> None:
    tokenizer, kept = trimmed
    old, new = full.get_vocab(), tokenizer.get_vocab()
    used = set(encode(full, real, 48).ids.unique().tolist())
    single = {i for piece, i in old.items() if len(piece.removeprefix("##")) == 1}
    stay = used | single | set(full.all_special_ids)
    assert set(kept.tolist()) == stay
    assert {piece: int(kept[i]) for piece, i in new.items()} == {piece: i for piece, i in old.items() if i in stay}


def test_unseen_text_of_known_characters_has_no_unknown_piece(full: PreTrainedTokenizerFast, trimmed: Trimmed) -> None:
    unseen = texts("Qwxyzzj phylogenetics — antidisestablishmentarianism, 98765!", "žluťoučký kůň", "日本 の 山")
    new = pieces(trimmed[0], encode(trimmed[0], unseen, 200))
    assert not [row for row in new if "[UNK]" in row]
    for row, old in zip(new, pieces(full, encode(full, unseen, 200)), strict=True):
        assert "".join(p.removeprefix("##") for p in row) == "".join(p.removeprefix("##") for p in old)
    assert "phylogenetics" not in new[0]


def test_characters_that_no_piece_holds_stay_unknown(trimmed: Trimmed) -> None:
    assert pieces(trimmed[0], encode(trimmed[0], texts("a \U0001f9ff b"), 10)) == [
        ["[CLS]", "a", "[UNK]", "b", "[SEP]"]
    ]


def test_special_pieces(full: PreTrainedTokenizerFast, trimmed: Trimmed) -> None:
    tokenizer = trimmed[0]
    assert tokenizer.special_tokens_map == full.special_tokens_map
    ids = tokenizer("a [MASK] b", "[SEP]")["input_ids"]
    names = ["[CLS]", "a", "[MASK]", "b", "[SEP]", "[SEP]", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids) == names
    assert ids == [tokenizer.get_vocab()[name] for name in names]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a b"
    assert tokenizer.model_max_length == full.model_max_length


@pytest.mark.parametrize("load", [AutoTokenizer.from_pretrained, PreTrainedTokenizerFast.from_pretrained])
def test_saved_and_loaded(tmp_path: Path, real: Texts, trimmed: Trimmed, load: object) -> None:
    trimmed[0].save_pretrained(tmp_path)
    again = load(tmp_path)  # type: ignore[operator]
    some = texts(*real.text[:300], "unseen zygomorphic words")
    pairs = texts(*some.text, pair=some.text[::-1])
    for given in (some, pairs):
        for limit in (48, 11):
            a, b = encode(trimmed[0], given, limit), encode(again, given, limit)
            assert torch.equal(a.ids, b.ids)
            assert torch.equal(a.first, b.first)
            assert torch.equal(a.length, b.length)
            assert a.pad == b.pad
    assert again.get_vocab() == trimmed[0].get_vocab()


@pytest.mark.parametrize("limit", [15, 16, 17, 18])
def test_pieces_of_pairs_stay_where_both_sides_are_cut(full: PreTrainedTokenizerFast, real: Texts, limit: int) -> None:
    """Which side loses the odd token depends on the lengths that both had before the cut."""
    pairs = texts(*real.text[:700], pair=real.text[1:701])
    tokenizer, _ = trim_vocabulary(full, count_pieces(full, pairs, limit))
    old, new = encode(full, pairs, limit), encode(tokenizer, pairs, limit)
    assert pieces(tokenizer, new) == pieces(full, old)
    assert torch.equal(new.first, old.first)


def test_the_most_frequent_pieces_stay_where_there_is_a_limit(full: PreTrainedTokenizerFast, real: Texts) -> None:
    count = count_pieces(full, real, 48)
    always = len(trim_vocabulary(full, count, 0)[1])
    assert always < 200
    tokenizer, kept = trim_vocabulary(full, count, always + 500)
    single = np.array([len(piece.removeprefix("##")) == 1 for piece in full.convert_ids_to_tokens(range(len(full)))])
    others = np.setdiff1d(np.flatnonzero(~single), full.all_special_ids)
    stay = np.intersect1d(others, kept)
    assert (len(kept), len(stay)) == (always + 500, 500)
    assert count[stay].min() >= count[np.setdiff1d(others, kept)].max()
    assert (count[stay] > 0).all()
    lost = {piece for row in pieces(tokenizer, encode(tokenizer, real, 200)) for piece in row}
    assert ("[UNK]" in lost) is bool(count[full.unk_token_id])
    whole = trim_vocabulary(full, count, len(full))[1]
    without = np.setdiff1d(trim_vocabulary(full, count)[1], whole)
    assert (single & (count == 0))[without].all()
    assert set(np.flatnonzero(count)) <= set(whole)


def test_with_a_limit_characters_stay_that_are_in_use_or_ascii(full: PreTrainedTokenizerFast) -> None:
    count = count_pieces(full, texts("日 good"), 8)
    tokenizer, _ = trim_vocabulary(full, count, 0)
    assert pieces(tokenizer, encode(tokenizer, texts("日 ab山", "good"), 8)) == [
        ["[CLS]", "日", "a", "##b", "[UNK]", "[SEP]"],
        ["[CLS]", "g", "##o", "##o", "##d", "[SEP]"],
    ]


def test_room_that_is_left_goes_to_other_words_in_the_vocabularys_order(full: PreTrainedTokenizerFast) -> None:
    count = count_pieces(full, texts("日 the zebra crossing"), 8)
    needed = trim_vocabulary(full, count, 0)[1], np.flatnonzero(count)
    before = len(np.union1d(*needed))
    tokenizer, kept = trim_vocabulary(full, count, before + 300)
    added = np.setdiff1d(kept, np.concatenate(needed))
    names = full.convert_ids_to_tokens(range(len(full)))
    bare = [piece.removeprefix("##") for piece in names]
    others = [old for old, piece in enumerate(bare) if len(piece) > 1 and piece.isalpha() and not count[old]]
    assert added.tolist() == others[:300]
    assert {"of", "and", "in"} <= {names[old] for old in added}
    assert pieces(tokenizer, encode(tokenizer, texts("people of the world"), 8)) == [
        ["[CLS]", "people", "of", "the", "world", "[SEP]"]
    ]
    assert pieces(tokenizer, encode(tokenizer, texts("山"), 8)) == [["[CLS]", "[UNK]", "[SEP]"]]
    whole = trim_vocabulary(full, count, len(full))[1]
    assert np.setdiff1d(whole, np.concatenate(needed)).tolist() == others
    assert not np.intersect1d(trim_vocabulary(full, count)[1], others).size


def test_an_added_word_that_no_text_has_goes() -> None:
    tokenizer = load_tokenizer("embedded")
    tokenizer.add_tokens(["covid", "zoom"])
    tokenizer, _ = trim_vocabulary(tokenizer, count_pieces(tokenizer, texts("a zoom call"), 8))
    assert tokenizer.convert_tokens_to_ids("zoom") not in (None, tokenizer.unk_token_id)
    assert pieces(tokenizer, encode(tokenizer, texts("covid zoom"), 16))[0][-2:] == ["zoom", "[SEP]"]
    assert "covid" not in tokenizer.get_vocab()


def test_pieces_are_counted(full: PreTrainedTokenizerFast) -> None:
    names = full.convert_tokens_to_ids(["good", "film", "[CLS]", "[SEP]"])
    single = count_pieces(full, texts("Good good film", "a film of films"), 4)  # the second is cut after "film"
    assert single[names].tolist() == [2, 1, 2, 2]
    pairs = count_pieces(full, texts("Good good film", "film", pair=("good", "good good film")), 4)
    assert pairs[names].tolist() == [5, 3, 0, 0]
    assert len(single) == len(pairs) == len(full)


@pytest.mark.parametrize("paired", [False, True])
def test_texts_are_tokenised_part_by_part(
    full: PreTrainedTokenizerFast, real: Texts, monkeypatch: pytest.MonkeyPatch, paired: bool
) -> None:
    some = texts(*real.text[:100], pair=real.text[100:200] if paired else None)
    whole, count = encode(full, some, 24), count_pieces(full, some, 24)
    monkeypatch.setattr("l2a_gym.distill.encode.AT_ONCE", 7)
    tokens = encode(full, some, 24)
    for one, two in ((whole.ids, tokens.ids), (whole.length, tokens.length), (whole.first, tokens.first)):
        assert torch.equal(one, two)
    assert np.array_equal(count_pieces(full, some, 24), count)


def test_one_text(full: PreTrainedTokenizerFast) -> None:
    tokens = encode(full, texts("Good film", "a"), 6)
    assert pieces(full, tokens) == [["[CLS]", "good", "film", "[SEP]"], ["[CLS]", "a", "[SEP]"]]
    assert (tokens.ids.dtype, tokens.length.dtype, tokens.first.dtype) == (torch.int32, torch.int64, torch.int64)
    assert tokens.ids.shape == (2, 6)
    assert tokens.length.tolist() == tokens.first.tolist() == [4, 3]
    assert tokens.ids[0, 4:].tolist() == [tokens.pad] * 2
    assert "token_type_ids" not in tokens.inputs()


def test_long_text_is_cut_and_keeps_its_end_mark(full: PreTrainedTokenizerFast) -> None:
    tokens = encode(full, texts("good " * 50), 6)
    assert pieces(full, tokens) == [["[CLS]", *["good"] * 4, "[SEP]"]]


def test_segments_of_pairs(full: PreTrainedTokenizerFast) -> None:
    tokens = encode(full, texts("good film", "a", pair=("bad", "dull dull book")), 12)
    assert tokens.length.tolist() == [6, 7]
    assert tokens.first.tolist() == [4, 3]
    inputs = tokens.inputs()
    expected = full(["good film", "a"], ["bad", "dull dull book"], padding=True, return_tensors="pt")
    assert torch.equal(inputs["input_ids"].long(), expected["input_ids"])
    assert torch.equal(inputs["attention_mask"], expected["attention_mask"])
    seen = expected["attention_mask"].bool()
    assert torch.equal(inputs["token_type_ids"][seen], expected["token_type_ids"][seen])


def test_inputs_are_cut_to_the_longest_row() -> None:
    ids = torch.tensor([[2, 5, 3, 0, 0, 0], [2, 5, 6, 3, 0, 0], [2, 3, 0, 0, 0, 0]], dtype=torch.int32)
    length = torch.tensor([3, 4, 2])
    tokens = Tokens(ids, length, length)
    assert len(tokens) == 3
    inputs = tokens.inputs()
    assert inputs["input_ids"].tolist() == ids[:, :4].tolist()
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
    part = tokens.take(torch.tensor([2, 0, 2]))
    assert part.length.tolist() == [2, 3, 2]
    assert part.ids.tolist() == ids[[2, 0, 2]].tolist()
    assert part.inputs()["input_ids"].shape == (3, 3)


def test_cat_keeps_rows_and_padding() -> None:
    ids = torch.arange(12, dtype=torch.int32).reshape(3, 4)
    tokens = Tokens(ids, torch.tensor([4, 3, 2]), torch.tensor([2, 3, 1]), pad=7)
    whole = Tokens.cat([tokens.take(torch.tensor([2])), tokens])
    assert whole.ids.tolist() == ids[[2, 0, 1, 2]].tolist()
    assert whole.length.tolist() == [2, 4, 3, 2]
    assert whole.first.tolist() == [1, 2, 3, 1]
    assert whole.pad == tokens.take(torch.tensor([0])).pad == whole.to(torch.device("cpu")).pad == 7


def test_whole_words(full: PreTrainedTokenizerFast) -> None:
    words = whole_words(full)
    vocabulary = full.get_vocab()
    assert {"film", "good", "terrible"} <= words.keys()
    assert not {"[CLS]", "##ing", "42", "of", "!"} & words.keys()
    assert all(vocabulary[word] == i and len(word) > 2 and word.isalpha() for word, i in words.items())
    assert list(words) == sorted(words)


def test_batches_hold_every_row_once_an_epoch_and_texts_of_similar_length() -> None:
    length = torch.randint(3, 49, (1000,), generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batches = shuffled_batches(length, 20)
        epochs = [[next(batches) for _ in range(50)] for _ in range(2)]
    for epoch in epochs:
        assert torch.cat(epoch).sort().values.tolist() == list(range(1000))
        spread = torch.stack([length[rows].max() - length[rows].min() for rows in epoch]).float().mean()
        assert float(spread) < 10
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))
