"""Edits of single words: exact on small cases, and what each keeps and changes on random texts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from l2a_gym.augment.config import LEXICAL, OPERATORS
from l2a_gym.augment.lexical import EDITS, delete, edit_text, insert, replace, swap
from l2a_gym.augment.words import WordVectors

NEIGHBOUR = {"good": "great", "great": "good", "bad": "poor", "poor": "bad"}
STRANGERS = ["Zzz", "42", "--"]


@pytest.fixture
def vectors() -> WordVectors:
    """Four words in two pairs, so that each has exactly one neighbour."""
    degrees = np.deg2rad([0, 10, 90, 101])
    return WordVectors(list(NEIGHBOUR), np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32), 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_texts(n: int) -> list[list[str]]:
    draw = rng(1)
    return [list(draw.choice([*NEIGHBOUR, *STRANGERS], size=draw.integers(1, 9))) for _ in range(n)]


def test_every_edit_is_an_operator_and_the_usual_ones_are_edits() -> None:
    assert {*LEXICAL} <= {*EDITS} <= {*OPERATORS}
    assert {name: EDITS[name] for name in LEXICAL} == {edit.__name__: edit for edit in (swap, delete, insert, replace)}


def test_only_one_outcome_is_possible(vectors: WordVectors) -> None:
    assert swap(["good", "film"], vectors, rng()) == ["film", "good"]
    assert replace(["good"], vectors, rng()) == ["great"]
    assert replace(["Bad"], vectors, rng()) == ["poor"]
    assert sorted(insert(["poor"], vectors, rng())) == ["bad", "poor"]
    for edit in (swap, delete):
        assert edit(["good"], vectors, rng()) == ["good"]
    for edit in (insert, replace):
        assert edit(["Zzz", "42"], vectors, rng()) == ["Zzz", "42"]


@pytest.mark.parametrize("name", LEXICAL)
def test_every_place_can_be_reached(vectors: WordVectors, name: str) -> None:
    words = ["good", "great", "bad", "poor"]
    results = {tuple(EDITS[name](words, vectors, rng(seed))) for seed in range(400)}
    exchanged = {
        tuple(np.array(words)[order])
        for order in ([1, 0, 2, 3], [2, 1, 0, 3], [3, 1, 2, 0], [0, 2, 1, 3], [0, 3, 2, 1])
    } | {("good", "great", "poor", "bad")}
    expected = {
        "swap": exchanged,
        "delete": {tuple(words[:i] + words[i + 1 :]) for i in range(4)},
        "insert": {(*words[:i], near, *words[i:]) for i in range(5) for near in words},
        "replace": {(*words[:i], NEIGHBOUR[words[i]], *words[i + 1 :]) for i in range(4)},
    }
    assert results == expected[name]


@pytest.mark.parametrize("name", EDITS)
def test_words_that_were_given_stay_as_they_were(vectors: WordVectors, name: str) -> None:
    for words in random_texts(50):
        before = list(words)
        EDITS[name](words, vectors, rng())
        assert words == before


def test_swap_keeps_the_words_and_moves_two(vectors: WordVectors) -> None:
    for words in random_texts(200):
        new = swap(words, vectors, rng())
        assert Counter(new) == Counter(words)
        assert sum(a != b for a, b in zip(words, new, strict=True)) in (0, 2)


def test_delete_drops_exactly_one_and_keeps_the_order(vectors: WordVectors) -> None:
    for words in random_texts(200):
        new = delete(words, vectors, rng())
        assert len(new) == max(1, len(words) - 1)
        assert new == words or any(new == words[:i] + words[i + 1 :] for i in range(len(words)))


def test_insert_adds_one_neighbour_of_a_word_of_the_text(vectors: WordVectors) -> None:
    for words in random_texts(200):
        new = insert(words, vectors, rng())
        if new == words:
            assert set(words) & set(STRANGERS)
            continue
        (added,) = (Counter(new) - Counter(words)).elements()
        assert added in {NEIGHBOUR[word] for word in words if word in NEIGHBOUR}
        assert any(new[:i] + new[i + 1 :] == words for i in range(len(new)))


def test_replace_changes_one_word_that_has_a_neighbour(vectors: WordVectors) -> None:
    changed = 0
    for words in random_texts(200):
        different = [(a, b) for a, b in zip(words, replace(words, vectors, rng()), strict=True) if a != b]
        changed += len(different)
        assert len(different) <= 1
        assert all(NEIGHBOUR.get(old) == new for old, new in different)
    assert changed > 50


@pytest.mark.parametrize(
    ("words", "share", "left"), [(20, 0.1, 18), (20, 0.14, 17), (3, 0.1, 2), (1, 1.0, 1), (6, 1.0, 1)]
)
def test_share_is_the_number_of_edits(vectors: WordVectors, words: int, share: float, left: int) -> None:
    text = " ".join(f"w{i}" for i in range(words))
    new = edit_text(text, delete, share, vectors, rng()).split()
    assert len(new) == left
    assert set(new) <= set(text.split())


def test_at_least_one_edit_of_the_smallest_share(vectors: WordVectors) -> None:
    text = " ".join(["good"] * 12)
    new = edit_text(text, replace, 1e-6, vectors, rng()).split()
    assert Counter(new) == {"good": 11, "great": 1}
    assert len(edit_text(text, insert, 0.25, vectors, rng()).split()) == 12 + 3


@pytest.mark.parametrize("name", EDITS)
def test_same_stream_same_text(vectors: WordVectors, name: str) -> None:
    text = "good  film \t bad story great town poor room"
    texts = [edit_text(text, EDITS[name], 0.3, vectors, rng(seed)) for seed in (0, 0, *range(1, 20))]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 5
    assert not [new for new in texts if new != " ".join(new.split())]
