"""Label policies on a case small enough to see."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.augment.policy import POLICIES, apply_policy

LABEL = np.array([0, 1, 0, 1, 0])
LOGITS = np.array([[2, 1], [2, 1], [1, 2], [1, 2], [2, 1]], dtype=np.float32)  # says 0, 0, 1, 1, 0
MADE = np.array([False, False, True, True, True])


@pytest.mark.parametrize(
    ("policy", "label", "stays"),
    [
        ("keep", [0, 1, 0, 1, 0], [True] * 5),
        ("teacher", [0, 1, 1, 1, 0], [True] * 5),
        ("agree", [0, 1, 0, 1, 0], [True, True, False, True, True]),
    ],
)
def test_source_texts_stay_as_they_are_and_new_ones_follow_the_policy(
    policy: str, label: list[int], stays: list[bool]
) -> None:
    found, usable = apply_policy(policy, LABEL, LOGITS, MADE)
    assert (found.tolist(), usable.tolist()) == (label, stays)
    assert LABEL.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_text_without_a_label_has_the_teachers_and_stays(policy: str) -> None:
    label = np.where([False, True, False, True, False], -1, LABEL)  # a source text and a new one have none
    found, usable = apply_policy(policy, label, LOGITS, MADE)
    expected = {"keep": [0, 0, 0, 1, 0], "teacher": [0, 0, 1, 1, 0], "agree": [0, 0, 0, 1, 0]}
    assert found.tolist() == expected[policy]
    assert usable.tolist() == [True, True, policy != "agree", True, True]
    assert label.tolist() == [0, -1, 0, -1, 0]
