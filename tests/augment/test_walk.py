"""Walks as an operator: as many texts as asked for, in order, and written as they were where nothing moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2a_gym.augment.masked_lm import MaskedLM
from l2a_gym.augment.settings import ChainConfig
from l2a_gym.augment.walk import MaskedWalk
from l2a_gym.tasks.task import Texts


@pytest.fixture(scope="module")
def lm(small: dict[str, Any]) -> MaskedLM:
    return MaskedLM(small["checkpoint"], seed=0)


SIDES = ("The film  was GOOD", "the song of the town was dull", "the meal was warm and bright")


def walk(lm: MaskedLM, folder: Path, texts: Texts, rows: list[int], **settings: Any) -> list[tuple[str, ...]]:
    operator = MaskedWalk(lm, ChainConfig(**settings), 24, folder)
    return operator(texts, np.array(rows), np.random.default_rng(0))


def test_each_row_gets_a_text_and_a_walk_keeps_some(lm: MaskedLM, tmp_path: Path) -> None:
    texts = Texts(SIDES, np.array([1, 0, 1]))
    made = walk(lm, tmp_path, texts, [0, 0, 0, 0, 0, 2], keep=2)
    assert len(made) == 6
    assert (
        sum(len(np.load(file)) for file in tmp_path.iterdir()) == 4
    )  # walks: 2 + 2 + 1 texts of the first, 1 of the last
    assert len(set(made)) > 3


def test_walks_end_where_no_further_text_is_wanted(lm: MaskedLM, tmp_path: Path) -> None:
    """The first text of a walk is the same, however many more it could keep."""
    texts = Texts(SIDES, np.array([1, 0, 1]))
    first = walk(lm, tmp_path / "one", texts, [0, 1, 2], keep=1)
    assert walk(lm, tmp_path / "four", texts, [0, 1, 2], keep=4) == first
    assert [np.load(file).shape[1] for file in (tmp_path / "four").iterdir()] == [1]


def test_one_side_of_a_pair_is_left_as_it_was_written(lm: MaskedLM, tmp_path: Path) -> None:
    texts = Texts(SIDES, np.array([1, 0, 1]), SIDES[::-1])
    made = walk(lm, tmp_path, texts, [0, 0, 1, 1, 2, 2], keep=1, burn_in=3)
    for (first, second), row in zip(made, [0, 0, 1, 1, 2, 2], strict=True):
        assert (first == SIDES[row]) + (second == SIDES[::-1][row]) == 1


def test_nothing_moves_where_all_is_protected(lm: MaskedLM, tmp_path: Path) -> None:
    words = tuple({word for side in SIDES for word in side.lower().split()})
    made = walk(lm, tmp_path, Texts(SIDES, np.array([1, 0, 1])), [0, 1, 2], protected=words)
    assert made == [(side,) for side in SIDES]


def test_units_are_pieces(lm: MaskedLM) -> None:
    assert MaskedWalk(lm, ChainConfig(), 24, Path()).units("The film") == ["the", "film"]
