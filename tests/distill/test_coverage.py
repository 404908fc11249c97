"""What a tokenizer knows of texts, counted on texts whose pieces are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from l2a_gym.distill.checkpoint import load_tokenizer
from l2a_gym.distill.coverage import Coverage, coverage
from l2a_gym.tasks.task import Texts


@pytest.fixture(scope="module")
def tokenizer(small: dict[str, Any]) -> PreTrainedTokenizerFast:
    return load_tokenizer(small["checkpoint"])


def texts(*text: str, pair: tuple[str, ...] | None = None) -> Texts:
    return Texts(text, np.zeros(len(text), dtype=np.int64), pair)


def test_unknown_pieces_cut_texts_and_the_longest(tokenizer: PreTrainedTokenizerFast) -> None:
    """Single letters are known, ideographs are not; a text has two special tokens besides its pieces."""
    one, other = texts("the film was good", "the \u623f", "ab"), texts("\u623f\u95f4")
    assert coverage(tokenizer, [one, other], 4) == Coverage(unknown=3 / 10, cut=1 / 4, longest=6)
    assert coverage(tokenizer, [one], 6) == Coverage(unknown=1 / 8, cut=0, longest=6)


def test_both_sides_of_a_pair_count(tokenizer: PreTrainedTokenizerFast) -> None:
    pairs = texts("the film", "good", pair=("was \u623f", "bad"))
    assert coverage(tokenizer, [pairs], 6) == Coverage(unknown=1 / 6, cut=1 / 2, longest=7)


def test_no_texts(tokenizer: PreTrainedTokenizerFast) -> None:
    assert coverage(tokenizer, [texts()], 4) == Coverage(unknown=0, cut=0, longest=0)
