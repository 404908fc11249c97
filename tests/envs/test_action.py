"""Actions: what is legal, and what becomes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from l2a_gym.envs.action import action_space, check_action, mixture_of, weights_of
from l2a_gym.errors import UserError

SPACE = action_space("weights", candidates=3, groups=2)


def test_one_value_a_candidate_or_one_a_group() -> None:
    assert SPACE.shape == (3,)
    assert action_space("mixture", candidates=3, groups=2).shape == (2,)
    assert SPACE.dtype == np.float32
    assert (SPACE.low == -1).all()
    assert (SPACE.high == 1).all()


def test_values_beyond_the_range_are_cut() -> None:
    assert check_action([-5, 0.25, 1e30], SPACE).tolist() == [-1, 0.25, 1]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0, 0], r"the action has shape \(2,\): valid is \(3,\)"),
        ([[0, 0, 0]], r"the action has shape \(1, 3\): valid is \(3,\)"),
        (0.0, r"the action has shape \(\): valid is \(3,\)"),
        ([0, math.nan, 0], "the action is nan at place 1: valid are finite numbers, -1 to 1"),
        ([0, 0, math.inf], "the action is inf at place 2: valid are finite numbers, -1 to 1"),
        ([-math.inf, math.nan, 0], "the action is -inf at place 0: valid are finite numbers, -1 to 1"),
    ],
)
def test_illegal_actions_are_named(action: object, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        check_action(action, SPACE)


def test_only_positive_values_are_weights() -> None:
    assert weights_of(np.array([-1, -0.0, 0, 0.5, 1], dtype=np.float32)).tolist() == [0, 0, 0, 0.5, 1]


def test_mixture_is_a_softmax_of_four_times_the_action() -> None:
    odds = [math.exp(4 * x) for x in (-1, 0.5, 1)]
    mixture = mixture_of(np.array([-1, 0.5, 1], dtype=np.float32), np.array([5, 1, 9]))
    np.testing.assert_allclose(mixture, np.array(odds) / sum(odds), rtol=1e-12)


def test_empty_groups_have_no_share_in_a_mixture() -> None:
    mixture = mixture_of(np.array([1, -1, -1, 1], dtype=np.float32), np.array([0, 3, 3, 0]))
    assert mixture.tolist() == [0, 0.5, 0.5, 0]
