"""What a tokenizer knows of texts, counted on texts whose pieces are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from l2a_gym.distill.checkpoint import load_tokenizer
from l2a_gym.distill.coverage import coverage
from l2a_gym.tasks.task import Texts


@pytest.fixture(scope="module")
def tokenizer(small: dict[str, Any]) -> PreTrainedTokenizerFast:
    return load_tokenizer(small["checkpoint"])


def texts(*text: str, pair: tuple[str, ...] | None = None) -> Texts:
    return Texts(text, np.zeros(len(text), dtype=np.int64), pair)


def test_unknown_pieces_cut_texts_and_the_longest(tokenizer: PreTrainedTokenizerFast) -> None:
    """Single letters are known, ideographs are not; a text has two special tokens besides its pieces."""
    one, other = texts("the film was good", "the \u623f", "ab"), texts("\u623f\u95f4")
    both = coverage(tokenizer, [one, other])
    assert (both.unknown, both.length.tolist(), both.longest) == (3 / 10, [6, 4, 4, 4], 6)
    assert [both.cut(length) for length in (3, 4, 5, 6)] == [1, 1 / 4, 1 / 4, 0]
    assert coverage(tokenizer, [one]).unknown == 1 / 8


def test_both_sides_of_a_pair_count(tokenizer: PreTrainedTokenizerFast) -> None:
    pairs = texts("the film", "good", pair=("was \u623f", "bad"))
    read = coverage(tokenizer, [pairs])
    assert (read.unknown, read.length.tolist(), read.cut(6)) == (1 / 6, [7, 5], 1 / 2)


def test_no_texts(tokenizer: PreTrainedTokenizerFast) -> None:
    read = coverage(tokenizer, [texts()])
    assert (read.unknown, read.cut(4), read.longest) == (0, 0, 0)
