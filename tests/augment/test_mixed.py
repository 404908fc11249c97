"""Mixed texts: which words are replaced, and by what."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.augment.mixed import SHARE, mixed_texts
from l2a_gym.tasks.task import UNLABELLED, Texts

OWN = tuple(" ".join(f"own-{row}-{place}" for place in range(400)) for row in range(3))
WORDS = [f"new-{i}" for i in range(50)]


def mix(texts: Texts, words: list[str], n: int, seed: int = 0) -> Texts:
    return mixed_texts(texts, words, n, np.random.default_rng(seed))


def texts(*text: str, pair: tuple[str, ...] | None = None) -> Texts:
    return Texts(text, np.arange(len(text)), pair)


def replaced(text: str) -> np.ndarray:
    """Which words of a mixed text are new; the others stand where they stood in one of the own texts."""
    new = [word in WORDS for word in text.split()]
    (row,) = {word.split("-")[1] for word, other in zip(text.split(), new, strict=True) if not other}
    assert all(other or word == f"own-{row}-{i}" for i, (word, other) in enumerate(zip(text.split(), new, strict=True)))
    return np.array(new)


def test_each_text_draws_its_own_share_of_words_to_replace() -> None:
    made = mix(texts(*OWN), WORDS, 300)
    assert len(made) == 300
    assert made.label.tolist() == [UNLABELLED] * 300
    share = np.array([replaced(text).mean() for text in made.text])
    low, high = SHARE
    assert low - 0.1 < share.min() < low + 0.05  # a share of 400 words has a standard error of up to 0.025
    assert high - 0.05 < share.max() < high + 0.1
    assert np.quantile(share, [0.25, 0.5, 0.75]) == pytest.approx([0.35, 0.5, 0.65], abs=0.06)
    places = np.mean([replaced(text) for text in made.text], axis=0)
    assert places == pytest.approx(np.full(400, 0.5), abs=0.15)


def test_texts_and_words_are_drawn_evenly() -> None:
    made = mix(texts(*OWN), WORDS, 300)
    begun = np.bincount([int(next(w for w in text.split() if w[0] == "o").split("-")[1]) for text in made.text])
    assert begun == pytest.approx([100] * 3, abs=35)
    drawn = [int(word[4:]) for text in made.text for word in text.split() if word.startswith("new-")]
    count = np.bincount(drawn, minlength=len(WORDS))
    assert count == pytest.approx(np.full(len(WORDS), len(drawn) / len(WORDS)), rel=0.15)


def test_both_sides_of_a_pair_are_mixed_apart_and_stay_together() -> None:
    sides = OWN[0], OWN[1]
    made = mix(texts(*sides, pair=sides), WORDS, 40)
    assert made.pair is not None
    for left, right in zip(made.text, made.pair, strict=True):
        rows = [next(word for word in side.split() if word[0] == "o").split("-")[1] for side in (left, right)]
        assert rows[0] == rows[1]
        assert replaced(left).any()
        assert replaced(right).any()
        assert left != right


def test_without_words_texts_stay_as_they_are() -> None:
    given = texts("two  words", "one", pair=("a", "b"))
    made = mix(given, [], 30)
    assert made.pair is not None
    assert set(zip(made.text, made.pair, strict=True)) == {("two  words", "a"), ("one", "b")}


def test_the_generator_is_all_that_chance_depends_on() -> None:
    given = texts(*OWN)
    before = given.text
    one, same, other = (mix(given, WORDS, 20, seed) for seed in (1, 1, 2))
    assert one.text == same.text
    assert one.text != other.text
    assert given.text == before
    assert len(mix(given, WORDS, 0)) == 0
