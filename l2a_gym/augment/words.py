"""Which words lie near a word, by the teacher's embedding matrix."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray


class WordVectors:
    """Nearest neighbours by cosine among whole words.

    Args:
        words: W different lower-case words.
        vectors: (W, H) their vectors.
        neighbours: k, how many nearest words count as neighbours.
    """

    def __init__(self, words: list[str], vectors: NDArray[np.float32], neighbours: int = 12) -> None:
        self.words = words
        self.row = {word: row for row, word in enumerate(words)}
        self.unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.neighbours = min(neighbours, len(words) - 1)
        self.nearest = cache(self._nearest)

    def _nearest(self, word: str) -> list[str]:
        """The k nearest words, nearest first, without the word itself; none for a word that has no vector."""
        row = self.row.get(word.lower())
        if row is None:
            return []
        cosine = self.unit @ self.unit[row]
        cosine[row] = -np.inf
        best = np.argpartition(-cosine, self.neighbours - 1)[: self.neighbours]
        return [self.words[i] for i in best[np.argsort(-cosine[best], kind="stable")]]

    def between(self, a: str, b: str) -> str | None:
        """The word nearest to the mean of two words' vectors, other than these; None where one has no vector."""
        rows = [self.row.get(word.lower()) for word in (a, b)]
        if rows[0] is None or rows[1] is None:
            return None
        cosine = self.unit @ (self.unit[rows[0]] + self.unit[rows[1]])
        cosine[rows] = -np.inf
        return self.words[int(cosine.argmax())]
