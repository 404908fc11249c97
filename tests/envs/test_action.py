"""Actions: what is legal, and what becomes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium.vector.utils import batch_space

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


REAL = "valid are real numbers, -1 to 1, of shape (3,)"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("0.5", f"the action, a str, holds values of type <U3: {REAL}"),
        (b"abc", f"the action, a bytes, holds values of type |S3: {REAL}"),
        (["1", "2", "3"], f"the action, a list, holds values of type <U1: {REAL}"),
        ({0: 1.0}, f"the action, a dict, holds values of type object: {REAL}"),
        (None, f"the action, a NoneType, holds values of type object: {REAL}"),
        ([0, None, 1], f"the action, a list, holds values of type object: {REAL}"),
        (np.array([0, 0.5, 1], dtype=object), f"the action, a ndarray, holds values of type object: {REAL}"),
        ([[0, 1], [0]], f"the action, a list, can't be read as an array: {REAL}"),
        ([0, 1, 1j], f"the action, a list, holds values of type complex128: {REAL}"),
        (np.array([0, 1, 2], dtype="M8[s]"), f"the action, a ndarray, holds values of type datetime64[s]: {REAL}"),
        (
            np.ma.masked_less([0.0, 0.5, 1.0], 0.5),
            f"the action, a MaskedArray, may hide some of its values: {REAL}, as the array's filled() gives",
        ),
        (
            torch.zeros(3, dtype=torch.bfloat16),
            f"the action, a torch.strided tensor of torch.bfloat16 on cpu, can't be read as an array: {REAL}",
        ),
        (
            torch.zeros(3, device="meta"),
            f"the action, a torch.strided tensor of torch.float32 on meta, can't be read as an array: {REAL}",
        ),
        (
            torch.zeros(3).to_sparse(),
            f"the action, a torch.sparse_coo tensor of torch.float32 on cpu, can't be read as an array: {REAL}",
        ),
        (
            torch.zeros(3, dtype=torch.cfloat),
            f"the action, a torch.strided tensor of torch.complex64 on cpu, holds values of type complex64: {REAL}",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_other_things_than_numbers_are_named(action: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_action(action, SPACE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "action",
    [
        [0.5, -2, 1],
        (0.5, -1, True),
        np.array([0.5, -1, 1], dtype=np.float16),
        np.array([0.5, -1e300, 1e300]),
        torch.tensor([0.5, -1.0, 1.0], requires_grad=True),
        torch.tensor([0.5, -1.0, 3.0], dtype=torch.float64),
        [torch.tensor(0.5), torch.tensor(-1), torch.tensor(1.0)],
    ],
    ids=str,
)
def test_lists_arrays_and_tensors_of_numbers_are_taken(action: object) -> None:
    checked = check_action(action, SPACE)
    assert checked.dtype == np.float32
    assert checked.tolist() == [0.5, -1, 1]


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.bool_])
def test_whole_numbers_and_flags_are_taken(kind: type) -> None:
    assert check_action(np.array([0, 1, 1], dtype=kind), SPACE).tolist() == [0, 1, 1]


def test_the_actions_of_several_are_checked_at_once() -> None:
    many = batch_space(SPACE, 2)
    actions = np.array([[0, 2, -2], [0.5, 0, np.nan]], dtype=np.float32)
    with pytest.raises(UserError, match=r"^the action is nan at place 1, 2: valid are finite numbers, -1 to 1$"):
        check_action(actions, many)
    actions[1, 2] = 0
    assert check_action(actions, many).tolist() == [[0, 1, -1], [0.5, 0, 0]]
    assert actions[0, 1] == 2  # what was given is left as it was


def test_only_positive_values_are_weights() -> None:
    assert weights_of(np.array([-1, -0.0, 0, 0.5, 1], dtype=np.float32)).tolist() == [0, 0, 0, 0.5, 1]


def test_mixture_is_a_softmax_of_four_times_the_action() -> None:
    odds = [math.exp(4 * x) for x in (-1, 0.5, 1)]
    mixture = mixture_of(np.array([-1, 0.5, 1], dtype=np.float32), np.array([5, 1, 9]))
    np.testing.assert_allclose(mixture, np.array(odds) / sum(odds), rtol=1e-12)


def test_empty_groups_have_no_share_in_a_mixture() -> None:
    mixture = mixture_of(np.array([1, -1, -1, 1], dtype=np.float32), np.array([0, 3, 3, 0]))
    assert mixture.tolist() == [0, 0.5, 0.5, 0]
