"""Texts with words of the whole vocabulary: by them a student learns what its teacher knows of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l2a_gym.tasks.task import UNLABELLED, Texts

SHARE = (0.2, 0.8)
"""The least and the largest share of a text's words that are replaced; each text draws its own."""


def mixed_texts(texts: Texts, words: Sequence[str], n: int, rng: np.random.Generator) -> Texts:
    """Replace words of texts by words of a vocabulary.

    They mean nothing; but a student that reproduces a teacher's vectors on them learns words that are rare in its texts
    or don't occur there.

    Args:
        texts: to begin with, drawn with replacement.
        words: the vocabulary, all alike likely; none leaves the texts as they are.
        n: texts to make.
        rng: of every draw.

    Returns:
        n texts without labels; of pairs both sides are changed.
    """
    rows = rng.integers(len(texts), size=n)
    return Texts(
        text=tuple(_mixed(texts.text[row], words, rng) for row in rows),
        label=np.full(n, UNLABELLED),
        pair=None if texts.pair is None else tuple(_mixed(texts.pair[row], words, rng) for row in rows),
    )


def _mixed(text: str, words: Sequence[str], rng: np.random.Generator) -> str:
    own = text.split()
    if not words:
        return text
    replaced = np.flatnonzero(rng.random(len(own)) < rng.uniform(*SHARE))
    for place, word in zip(replaced, rng.integers(len(words), size=len(replaced)), strict=True):
        own[place] = words[word]
    return " ".join(own)
