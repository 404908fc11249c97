"""How well a tokenizer fits texts: what its vocabulary lacks, and what is cut off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from l2a_gym.distill.encode import parts_of
from l2a_gym.tasks.task import Texts


@dataclass(frozen=True, eq=False)
class Coverage:
    """What a tokenizer makes of n texts or pairs.

    Attributes:
        unknown: share of the pieces, in [0, 1], that stand for words that the vocabulary can't spell.
        length: (n,) tokens of each before it is cut, special tokens included.
    """

    unknown: float
    length: NDArray[np.int64]

    @property
    def longest(self) -> int:
        """Tokens of the longest."""
        return int(self.length.max(initial=0))

    def cut(self, max_length: int) -> float:
        """Share of the texts, in [0, 1], that have more tokens than ``max_length``."""
        return float((self.length > max_length).sum() / max(len(self.length), 1))


def coverage(tokenizer: PreTrainedTokenizerFast, parts: Iterable[Texts]) -> Coverage:
    """Count the tokens of texts or pairs."""
    lengths: list[int] = []
    pieces, unknown = 0, 0
    for texts in parts:
        special = tokenizer.num_special_tokens_to_add(pair=texts.pair is not None)
        for rows in parts_of(len(texts)):
            pair = None if texts.pair is None else list(texts.pair[rows])
            for ids in tokenizer(list(texts.text[rows]), pair, add_special_tokens=False, verbose=False)["input_ids"]:
                pieces += len(ids)
                unknown += ids.count(tokenizer.unk_token_id)
                lengths.append(len(ids) + special)
    return Coverage(unknown / max(pieces, 1), np.array(lengths, dtype=np.int64))
