"""Which teacher teaches: the mean of several, unless another is ahead of it on ``select``."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from l2a_gym.experiment.teachers import chosen_teacher, is_ahead
from l2a_gym.preparation.store import TEACHERS, Prepared


@pytest.mark.parametrize(
    ("only_first", "only_other", "ahead"),
    [(1, 0, False), (2, 0, True), (5, 4, False), (6, 4, False), (7, 3, True), (3, 7, False)],
)
def test_ahead_is_more_than_a_standard_error_of_the_difference(only_first: int, only_other: int, ahead: bool) -> None:
    right, wrong = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    both = 64 - only_first - only_other
    logits = torch.stack([right] * only_first + [wrong] * only_other + [right] * both)
    of = torch.stack([wrong] * only_first + [right] * only_other + [right] * both)
    assert is_ahead(logits, of, torch.ones(64, dtype=torch.int64)) is ahead
    if only_other:  # by SciPy, of the differences text by text
        difference = np.repeat([1, -1, 0], [only_first, only_other, both])
        assert ahead == (difference.mean() > stats.sem(difference))


@pytest.fixture
def copy(prepared: Prepared, tmp_path: Path) -> Prepared:
    """The small task, of which all teachers know the class of a text with 0.9, but of the first ten of ``select``."""
    copied = Prepared(shutil.copytree(prepared.folder, tmp_path / "copy"))
    for name in set(TEACHERS) - {"mean"}:
        answer(copied, name, wrong=10)
    return copied


def answer(copied: Prepared, name: str, wrong: int, sure: float = 0.9) -> None:
    """Let a teacher be wrong on the first texts of ``select`` alone."""
    file = copied.folder / "answers" / f"{name}.npy"
    rows, label = copied.rows["select"], np.array(copied.array("tokens/label"))
    label[rows.start : rows.start + wrong] = 1 - label[rows.start : rows.start + wrong]
    file.unlink()  # the copy may share its bytes with the original
    np.save(file, np.log(np.where(np.eye(2)[label] == 1, sure, 1 - sure)).astype(np.float32))


def test_where_teachers_are_level_the_mean_teaches(copy: Prepared) -> None:
    assert chosen_teacher(copy) == "mean"


def test_one_text_more_is_not_enough(copy: Prepared) -> None:
    answer(copy, "frozen-all-data", wrong=9)
    assert chosen_teacher(copy) == "mean"


def test_a_teacher_that_is_clearly_ahead_teaches(copy: Prepared) -> None:
    answer(copy, "frozen-all-data", wrong=5)
    assert chosen_teacher(copy) == "frozen-all-data"


def test_of_those_ahead_the_one_with_the_lowest_loss_teaches(copy: Prepared) -> None:
    answer(copy, "frozen-few-shot", wrong=2, sure=0.7)
    answer(copy, "frozen-all-data", wrong=2, sure=0.9)
    assert chosen_teacher(copy) == "frozen-all-data"
