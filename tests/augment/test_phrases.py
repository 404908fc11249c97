"""Phrases: runs of a text's own words."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.augment.operator import Sides
from l2a_gym.augment.phrases import WORDS, phrases
from l2a_gym.tasks.task import UNLABELLED, Texts


def cut(texts: list[Sides], copies: int, seed: int = 0) -> Texts:
    return phrases(texts, copies, np.random.default_rng(seed))


def numbered(words: int, name: str = "w") -> str:
    return " ".join(f"{name}{i}" for i in range(words))


def places(phrase: str, name: str = "w") -> list[int]:
    return [int(word.removeprefix(name)) for word in phrase.split()]


def test_a_phrase_is_a_run_of_two_to_ten_words_from_anywhere_in_the_text() -> None:
    found = [places(phrase) for phrase in cut([(numbered(40),)], 4000).text]
    assert all(each == list(range(each[0], each[0] + len(each))) for each in found)
    lengths, counts = np.unique([len(each) for each in found], return_counts=True)
    assert (lengths[0], lengths[-1]) == WORDS
    assert counts.min() > 0.8 * counts.mean()
    starts = [each[0] for each in found]
    assert (min(starts), max(each[-1] for each in found)) == (0, 39)
    assert np.mean(starts) == pytest.approx(17, abs=1)  # half of 40 words less the six of a phrase


def test_phrases_stand_text_by_text_and_have_no_label() -> None:
    made = cut([(numbered(30, "a"),), (numbered(30, "b"),)], 3)
    assert [text[0] for text in made.text] == [*"aaabbb"]
    assert made.label.tolist() == [UNLABELLED] * 6
    assert made.pair is None


def test_short_texts_stay_whole() -> None:
    made = cut([("good",), ("",), ("not  bad",)], 2)
    assert made.text == ("good", "good", "", "", "not bad", "not bad")


def test_both_sides_of_a_pair_are_cut_at_the_same_place_by_the_same_share() -> None:
    made = cut([(numbered(20), numbered(40, "v"))], 300)
    assert made.pair is not None
    for first, second in zip(made.text, made.pair, strict=True):
        one, other = places(first), places(second, "v")
        assert len(other) == 2 * len(one)
        assert abs(other[0] / 2 - one[0]) <= 1


def test_the_same_seed_cuts_the_same() -> None:
    text = [(numbered(30),)]
    assert cut(text, 5).text == cut(text, 5).text
    assert cut(text, 5, seed=1).text != cut(text, 5).text
