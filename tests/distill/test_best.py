"""What is kept by dev: the lowest loss among those near the highest accuracy, in any order of looks."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from l2a_gym.distill.best import Best

LABEL = torch.arange(1000) % 2


def logits(right: int, margin: float) -> Tensor:
    """Logits that are right on so many of the 1,000 texts, by a margin; the margin shapes the loss."""
    sign = torch.where(torch.arange(1000) < right, 1.0, -1.0) * torch.where(LABEL == 1, 1.0, -1.0)
    return torch.stack([torch.zeros(1000), margin * sign], 1)


def kept(looks: list[str]) -> str:
    best: Best[str] = Best(LABEL)
    outputs = {
        "flat": logits(800, 0.01),
        "sharp": logits(796, 1.5),
        "low": logits(780, 1.4),
        "overconfident": logits(800, 9.0),
        "nan": logits(900, float("nan")),
    }
    for name in looks:
        if best.update(outputs[name]):
            best.kept = name
    return best.kept


@pytest.mark.parametrize("looks", list(permutations(["flat", "sharp", "low", "overconfident"])))
def test_lowest_loss_within_half_a_point_of_the_highest_accuracy(looks: tuple[str, ...]) -> None:
    assert kept(list(looks)) == "sharp"


def test_higher_accuracy_counts_beyond_half_a_point() -> None:
    assert kept(["low"]) == "low"
    assert kept(["low", "overconfident"]) == "overconfident"
    assert kept(["overconfident", "low"]) == "overconfident"


def test_equal_looks_keep_the_first_and_a_loss_that_is_no_number_is_never_kept() -> None:
    best: Best[int] = Best(LABEL)
    assert [best.update(logits(800, 1.0)) for _ in range(3)] == [True, False, False]
    assert kept(["low", "nan"]) == "low"


def test_a_gain_is_a_higher_accuracy_or_a_lower_loss_than_all_before() -> None:
    best: Best[int] = Best(LABEL)
    looks = [(780, 1.4), (700, 0.01), (800, 9.0), (790, 1.4), (790, 1.4)]
    gained = []
    for right, margin in looks:
        best.update(logits(right, margin))
        gained.append(best.gained)
    assert gained == [True, False, True, True, False]
