"""What makes new texts from given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from l2a_gym.tasks.task import Texts

Sides = tuple[str, ...]
"""A text, or the two texts of a pair."""
Start = Literal["shots", "sources"]
"""The target's shots, or the sources' texts."""


class Operator(Protocol):
    """Makes new texts; each has the label of the text it was made from, until the pool's label policy has its say.

    Attributes:
        start: the texts that it starts from.
    """

    start: Start

    def __call__(self, texts: Texts, rows: NDArray[np.int64], rng: np.random.Generator) -> list[Sides]:
        """One new text for each of ``rows``, which are sorted and may repeat, in their order.

        Of a pair, one side changes and the other stays as it is.
        """
        ...

    def units(self, text: str) -> Sequence[str]:
        """The words or pieces that the operator edits, in order; they tell how much of a text it changed."""
        ...


def sides_of(texts: Texts) -> list[Sides]:
    """The texts as tuples of one or two sides."""
    return list(zip(texts.text, strict=True)) if texts.pair is None else list(zip(texts.text, texts.pair, strict=True))
