"""How well a tokenizer fits texts: what its vocabulary lacks, and what is cut off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from l2a_gym.distill.encode import parts_of
from l2a_gym.tasks.task import Texts


@dataclass(frozen=True)
class Coverage:
    """What a tokenizer makes of texts.

    Attributes:
        unknown: share of the pieces, in [0, 1], that stand for words that the vocabulary can't spell.
        cut: share of the texts, in [0, 1], that have more tokens than a model is given.
        longest: tokens of the longest text, special tokens included.
    """

    unknown: float
    cut: float
    longest: int


def coverage(tokenizer: PreTrainedTokenizerFast, parts: Iterable[Texts], max_length: int) -> Coverage:
    """Count the tokens of texts or pairs before they are cut at ``max_length``."""
    lengths, pieces, unknown = [0], 0, 0
    for texts in parts:
        special = tokenizer.num_special_tokens_to_add(pair=texts.pair is not None)
        for rows in parts_of(len(texts)):
            pair = None if texts.pair is None else list(texts.pair[rows])
            for ids in tokenizer(list(texts.text[rows]), pair, add_special_tokens=False, verbose=False)["input_ids"]:
                pieces += len(ids)
                unknown += ids.count(tokenizer.unk_token_id)
                lengths.append(len(ids) + special)
    cut = sum(length > max_length for length in lengths)
    return Coverage(unknown / max(pieces, 1), cut / max(len(lengths) - 1, 1), max(lengths))
