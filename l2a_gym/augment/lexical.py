"""Edits of single words: swap, delete, insert after EDA (Wei & Zou, 2019), replace after TinyBERT (Jiao et al., 2020).

EDA inserts synonyms of a thesaurus; here, as in TinyBERT's augmentation, the words near a word in the teacher's
embedding matrix stand in for them. An edit takes a word list and a generator and returns a new word list.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from l2a_gym.augment.operator import Sides, Start, sides_of
from l2a_gym.augment.words import WordVectors
from l2a_gym.tasks.task import Texts

Words = list[str]
Edit = Callable[[Words, WordVectors, np.random.Generator], Words]


def swap(words: Words, vectors: WordVectors, rng: np.random.Generator) -> Words:
    """Exchange two words at random places."""
    if len(words) < 2:
        return words
    i, j = rng.choice(len(words), size=2, replace=False)
    words = list(words)
    words[i], words[j] = words[j], words[i]
    return words


def delete(words: Words, vectors: WordVectors, rng: np.random.Generator) -> Words:
    """Drop a word; the last one stays."""
    if len(words) < 2:
        return words
    i = rng.integers(len(words))
    return words[:i] + words[i + 1 :]


def insert(words: Words, vectors: WordVectors, rng: np.random.Generator) -> Words:
    """Put a neighbour of some word at a random place."""
    near = vectors.nearest(words[rng.integers(len(words))])
    if not near:
        return words
    i = rng.integers(len(words) + 1)
    return [*words[:i], near[rng.integers(len(near))], *words[i:]]


def replace(words: Words, vectors: WordVectors, rng: np.random.Generator) -> Words:
    """Put one of its neighbours in the place of a word."""
    i = rng.integers(len(words))
    near = vectors.nearest(words[i])
    return [*words[:i], near[rng.integers(len(near))], *words[i + 1 :]] if near else words


EDITS: dict[str, Edit] = {edit.__name__: edit for edit in (swap, delete, insert, replace)}
"""Name -> one edit of one text."""


class Lexical:
    """An operator that applies an edit to a share of a text's words, at least once; of a pair, to one side.

    Args:
        edit: the edit.
        vectors: where it finds the neighbours of words.
        share: of the words, in (0, 1].
    """

    start: Start = "shots"

    def __init__(self, edit: Edit, vectors: WordVectors, share: float) -> None:
        self.edit, self.vectors, self.share = edit, vectors, share

    def __call__(self, texts: Texts, rows: NDArray[np.int64], rng: np.random.Generator) -> list[Sides]:
        """An edited copy for each row."""
        given, made = sides_of(texts), []
        for row in rows.tolist():
            new = list(given[row])
            side = int(rng.integers(len(new)))
            new[side] = edit_text(new[side], self.edit, self.share, self.vectors, rng)
            made.append(tuple(new))
        return made

    def units(self, text: str) -> Words:
        """What stands between spaces."""
        return text.split()


def edit_text(text: str, edit: Edit, share: float, vectors: WordVectors, rng: np.random.Generator) -> str:
    """Apply an edit to ``share`` of a text's words, at least once."""
    words = text.split()
    for _ in range(max(1, round(share * len(words)))):
        words = edit(words, vectors, rng)
    return " ".join(words)
