"""Mixing of two texts in embedding space, after mixup for sentences (Guo et al., 2019), but put into words again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l2a_gym.augment.operator import Sides, Start, sides_of
from l2a_gym.augment.words import WordVectors
from l2a_gym.tasks.task import Texts


class Mix:
    """An operator that moves words of a text half way to the words of another text of the same label.

    At a share of the places, at least one, stands the word whose vector is nearest to the mean of the vectors of both
    texts' words there, other than these two. A place whose words have no vector takes the other text's word. So a mixed
    text is a text, which every teacher and student can read. Of a pair, one side is mixed.

    Args:
        vectors: of words.
        share: of the places, in (0, 1].
    """

    start: Start = "shots"

    def __init__(self, vectors: WordVectors, share: float) -> None:
        self.vectors, self.share = vectors, share

    def __call__(self, texts: Texts, rows: NDArray[np.int64], rng: np.random.Generator) -> list[Sides]:
        """A mixed text for each row; its partner is drawn among the texts of the same label."""
        given, made = sides_of(texts), []
        alike = {label: np.flatnonzero(texts.label == label) for label in np.unique(texts.label).tolist()}
        for row in rows.tolist():
            new = list(given[row])
            partner = given[int(rng.choice(alike[int(texts.label[row])]))]
            side = int(rng.integers(len(new)))
            new[side] = " ".join(self._mix(new[side].split(), partner[side].split(), rng))
            made.append(tuple(new))
        return made

    def units(self, text: str) -> list[str]:
        """What stands between spaces."""
        return text.split()

    def _mix(self, words: list[str], others: list[str], rng: np.random.Generator) -> list[str]:
        places = rng.permutation(min(len(words), len(others)))[: max(1, round(self.share * len(words)))]
        mixed = list(words)
        for i in places.tolist():
            mixed[i] = self.vectors.between(words[i], others[i]) or others[i]
        return mixed
