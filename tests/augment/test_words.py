"""Neighbours by cosine: exact on a hand-made plane, and against a plain search on random vectors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from l2a_gym.augment.words import WordVectors


def plane(*degrees: float) -> NDArray[np.float32]:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_nearest_first() -> None:
    vectors = WordVectors(["a", "b", "c", "d"], plane(0, 30, 70, 180), neighbours=3)
    assert vectors.nearest("a") == ["b", "c", "d"]
    assert vectors.nearest("b") == ["a", "c", "d"]
    assert vectors.nearest("d") == ["c", "b", "a"]


def test_length_of_a_vector_does_not_count() -> None:
    scale = np.array([[5.0], [0.01], [300.0], [1.0]], dtype=np.float32)
    words = ["a", "b", "c", "d"]
    plain, scaled = (WordVectors(words, v, 2) for v in (plane(0, 30, 70, 180), plane(0, 30, 70, 180) * scale))
    assert [scaled.nearest(word) for word in words] == [plain.nearest(word) for word in words]


def test_case_and_words_without_a_vector() -> None:
    vectors = WordVectors(["a", "b"], plane(0, 30))
    assert vectors.nearest("A") == vectors.nearest("a") == ["b"]
    assert vectors.nearest("c") == vectors.nearest("") == []


@pytest.mark.parametrize(("words", "asked", "got"), [(1, 12, 0), (2, 12, 1), (13, 12, 12), (40, 12, 12), (40, 3, 3)])
def test_number_of_neighbours(words: int, asked: int, got: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(words, 5)).astype(np.float32)
    assert len(WordVectors([f"w{i}" for i in range(words)], vectors, asked).nearest("w0")) == got


def test_against_a_plain_search() -> None:
    matrix = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    words = [f"w{i}" for i in range(len(matrix))]
    vectors = WordVectors(words, matrix, neighbours=7)
    for row, word in enumerate(words):
        by_cosine = sorted(
            (other for other in range(len(words)) if other != row),
            key=lambda other: -matrix[row] @ matrix[other] / np.sqrt(matrix[other] @ matrix[other]),
        )
        assert vectors.nearest(word) == [words[other] for other in by_cosine[:7]]


def test_between_is_the_word_nearest_to_the_mean() -> None:
    degrees = np.deg2rad([0, 20, 45, 90, 180])
    plane = np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)
    vectors = WordVectors(["a", "b", "c", "d", "e"], plane * np.array([[1], [2], [1], [5], [1]], dtype=np.float32), 2)
    assert vectors.between("a", "d") == "c"
    assert vectors.between("A", "c") == "b"
    assert vectors.between("a", "a") == "b"
    assert vectors.between("a", "zzz") is None
    assert vectors.between("zzz", "a") is None
