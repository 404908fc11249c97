"""Phrases of texts: by what a teacher says of them, a student learns which words decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l2a_gym.augment.operator import Sides
from l2a_gym.tasks.task import UNLABELLED, Texts

WORDS = (2, 10)
"""The fewest and the most words of a phrase; each draws its number."""


def phrases(texts: Sequence[Sides], copies: int, rng: np.random.Generator) -> Texts:
    """Cut runs of words out of texts.

    Small models gain from the labels of phrases, not of whole texts alone (Socher et al., 2013, *Recursive Deep Models
    for Semantic Compositionality Over a Sentiment Treebank*). Here people label no phrase: a teacher answers them.

    Args:
        texts: n texts, at least one; of a pair, both sides are cut at the same place and by the same share.
        copies: phrases of each text, at least one.
        rng: of every draw.

    Returns:
        n * copies phrases without labels: those of the first text, then those of the second, and so on. A text of fewer
        words than were drawn stays whole.
    """
    cut = [_cut(sides, rng) for sides in texts for _ in range(copies)]
    text, *pair = zip(*cut, strict=True)
    return Texts(text, np.full(len(cut), UNLABELLED), *pair)


def _cut(sides: Sides, rng: np.random.Generator) -> Sides:
    """The sides' words from the same share of the way on, as many of the first side's as were drawn."""
    words = [side.split() for side in sides]
    share = min(1.0, rng.integers(WORDS[0], WORDS[1], endpoint=True) / max(1, len(words[0])))
    place = rng.random()
    return tuple(" ".join(_run(each, share, place)) for each in words)


def _run(words: list[str], share: float, place: float) -> list[str]:
    number = max(1, round(share * len(words)))
    start = int(place * (len(words) - number + 1))
    return words[start : start + number]
