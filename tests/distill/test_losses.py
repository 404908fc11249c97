"""The losses against formulas written out in float64, text by text and without padding where texts are padded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l2a_gym.distill.losses import (
    ATTENTION_LOSSES,
    EXTRA_LOSSES,
    attention_kl,
    attention_mse,
    distillation_loss,
    hidden_loss,
    patience_loss,
    relation_loss,
    soft_target_loss,
)

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(scale=3, size=(2, 20, 5))
LABEL = RNG.integers(0, 5, size=20)


def tensor(array: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(array).float()


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def soft(temperature: float) -> NDArray[np.float64]:
    p, q = softmax(TEACHER / temperature), softmax(STUDENT / temperature)
    return temperature**2 * (p * (np.log(p) - np.log(q))).sum(1)


def hard() -> NDArray[np.float64]:
    return -np.log(softmax(STUDENT)[np.arange(len(LABEL)), LABEL])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_soft_targets(temperature: float) -> None:
    loss = soft_target_loss(tensor(STUDENT), tensor(TEACHER), temperature)
    assert loss.shape == (20,)
    np.testing.assert_allclose(loss.numpy(), soft(temperature), rtol=1e-4, atol=1e-5)
    assert (loss > 0).all()


def test_soft_targets_are_zero_where_the_distributions_agree() -> None:
    shift = tensor(RNG.normal(size=(20, 1)))  # a constant on all logits is the same distribution
    same = soft_target_loss(tensor(TEACHER) + shift, tensor(TEACHER), 2.0)
    np.testing.assert_allclose(same.numpy(), 0, atol=1e-5)
    assert (soft_target_loss(tensor(TEACHER) * 1.05, tensor(TEACHER), 2.0) > 1e-5).all()


def test_direction_is_from_teacher_to_student() -> None:
    """KL(teacher || student) grows without bound where the student denies what the teacher says."""
    sure, unsure = torch.tensor([[30.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert float(soft_target_loss(student=unsure, teacher=sure, temperature=1.0)) == pytest.approx(np.log(2), rel=1e-5)
    assert float(soft_target_loss(student=sure, teacher=unsure, temperature=1.0)) == pytest.approx(
        15 - np.log(2), rel=1e-5
    )


def test_temperature_scales_the_loss_but_hardly_its_gradient() -> None:
    """As T grows, T^2 * KL tends to the squared distance of the centred logits over 2 C (Hinton et al., 2015)."""
    difference = (STUDENT - STUDENT.mean(1, keepdims=True)) - (TEACHER - TEACHER.mean(1, keepdims=True))
    limit = (difference**2).sum(1) / (2 * 5)
    loss = soft_target_loss(tensor(STUDENT).double(), tensor(TEACHER).double(), 1e4)
    np.testing.assert_allclose(loss.numpy(), limit, rtol=1e-2)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_mixture_of_hard_and_soft(alpha: float) -> None:
    loss = distillation_loss(tensor(STUDENT), torch.from_numpy(LABEL), tensor(TEACHER), alpha, 2.0)
    np.testing.assert_allclose(loss.numpy(), (1 - alpha) * hard() + alpha * soft(2.0), rtol=1e-4, atol=1e-5)


def test_ends_of_alpha_look_at_one_side_only() -> None:
    other_label, other_teacher = torch.from_numpy((LABEL + 1) % 5), tensor(-TEACHER)
    student, label, teacher = tensor(STUDENT), torch.from_numpy(LABEL), tensor(TEACHER)
    assert torch.equal(
        distillation_loss(student, label, teacher, 0.0, 2.0), distillation_loss(student, label, other_teacher, 0.0, 2.0)
    )
    assert torch.equal(
        distillation_loss(student, label, teacher, 1.0, 2.0), distillation_loss(student, other_label, teacher, 1.0, 2.0)
    )


def test_gradient_pulls_towards_the_teacher() -> None:
    student = tensor(STUDENT).requires_grad_()
    soft_target_loss(student, tensor(TEACHER), 2.0).sum().backward()
    expected = 2.0 * (softmax(STUDENT / 2) - softmax(TEACHER / 2))
    np.testing.assert_allclose(student.grad.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_extreme_logits_stay_finite() -> None:
    far = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    assert torch.isfinite(distillation_loss(far, torch.tensor([1, 0]), -far, 0.5, 2.0)).all()


# Losses of layers

N, TOKENS, WIDTH, HEADS = 6, 7, 8, 2
LENGTHS = np.array([7, 1, 4, 2, 6, 3])


def probabilities(heads: int) -> NDArray[np.float64]:
    """Head-averaged attention (n, T, T) of padded texts: no weight on padded keys, some row at padded queries."""
    scores = RNG.normal(scale=2, size=(heads, N, TOKENS, TOKENS))
    weights = np.exp(scores) * (np.arange(TOKENS) < LENGTHS[:, None])[:, None]
    mean: NDArray[np.float64] = (weights / weights.sum(3, keepdims=True)).mean(0)
    return mean


HIDDEN, FIRST, VALUES = (
    (RNG.normal(size=shape), RNG.normal(size=shape)) for shape in ((N, TOKENS, WIDTH), (N, WIDTH), (N, TOKENS, WIDTH))
)
ATTENTION = probabilities(2), probabilities(3)


def hidden_by_hand(own: NDArray[np.float64], goal: NDArray[np.float64]) -> float:
    return float(((own - goal) ** 2).mean())


def kl_by_hand(own: NDArray[np.float64], goal: NDArray[np.float64]) -> float:
    return float((goal * np.log(goal / own)).sum(-1).mean())


def relation_by_hand(own: NDArray[np.float64], goal: NDArray[np.float64]) -> float:
    def relation(values: NDArray[np.float64], head: int) -> NDArray[np.float64]:
        d = values.shape[1] // HEADS
        mine = values[:, head * d : (head + 1) * d]
        return softmax(mine @ mine.T / np.sqrt(d))

    return float(np.mean([kl_by_hand(relation(own, head), relation(goal, head)) for head in range(HEADS)]))


def cut(array: NDArray[np.float64], i: int, axes: int) -> NDArray[np.float64]:
    """One text's states without its padding."""
    return array[(i, *[slice(LENGTHS[i])] * axes)]


CASES: dict[str, tuple[Callable[..., torch.Tensor], Any, Any, int]] = {
    "hidden": (hidden_loss, HIDDEN, hidden_by_hand, 1),
    "attention_mse": (attention_mse, ATTENTION, hidden_by_hand, 2),
    "attention_kl": (attention_kl, ATTENTION, kl_by_hand, 2),
    "relation": (partial(relation_loss, heads=HEADS), VALUES, relation_by_hand, 1),
}
cases = pytest.mark.parametrize("name", CASES)


def given(name: str) -> list[torch.Tensor]:
    return [torch.from_numpy(side.copy()) for side in CASES[name][1]]


@cases
def test_loss_of_layers_is_that_of_each_text_alone(name: str) -> None:
    loss, (own, goal), by_hand, axes = CASES[name]
    got = loss(*given(name), torch.from_numpy(LENGTHS))
    assert got.shape == (N,)
    expected = [by_hand(cut(own, i, axes), cut(goal, i, axes)) for i in range(N)]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6, atol=1e-9)
    assert (got >= -1e-9).all()
    assert (got[LENGTHS > 1] > 0).all()


@cases
def test_padding_of_layers_plays_no_part(name: str) -> None:
    """Whatever stands there, even no number at all; and no gradient goes there."""
    loss, _, _, axes = CASES[name]
    (own, goal), length = given(name), torch.from_numpy(LENGTHS)
    clean = loss(own, goal, length)
    padding = torch.arange(TOKENS) >= length[:, None]
    for states, value in ((own, torch.nan), (goal, 1e30)):
        states[padding] = value
        if axes == 2:
            states.transpose(1, 2)[padding] = value
    own.requires_grad_()
    dirty = loss(own, goal, length)
    assert torch.equal(dirty, clean)
    dirty.sum().backward()
    assert (own.grad[padding] == 0).all()
    assert torch.isfinite(own.grad).all()
    assert all((own.grad[i] != 0).any() for i in np.flatnonzero(LENGTHS > 1))


@cases
def test_loss_of_layers_is_zero_where_they_agree(name: str) -> None:
    loss, (own, _), _, _ = CASES[name]
    same = torch.from_numpy(own.copy())
    np.testing.assert_allclose(loss(same, same, torch.from_numpy(LENGTHS)).numpy(), 0, atol=1e-12)


def test_known_values() -> None:
    one = torch.tensor([2])
    state = torch.tensor([[[1.0, 0.0], [0.0, 3.0]]])
    assert hidden_loss(state, torch.zeros(1, 2, 2), one).tolist() == [2.5]  # (1 + 9) / 4
    sharp, flat = torch.eye(2)[None], torch.full((1, 2, 2), 0.5)
    assert attention_mse(sharp, flat, one).tolist() == [0.25]
    assert attention_kl(flat, sharp, one).tolist() == pytest.approx([np.log(2)])
    assert float(attention_kl(sharp, flat, one)) == pytest.approx(-np.log(2) + 0.5 * 12 * np.log(10))  # the floor
    assert float(attention_kl(1 - sharp, sharp, one)) == pytest.approx(12 * np.log(10))  # the largest value there is


def test_patience_is_the_squared_distance_of_directions() -> None:
    own, goal = FIRST
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in FIRST]
    got = patience_loss(torch.from_numpy(own), torch.from_numpy(goal), torch.from_numpy(LENGTHS))
    np.testing.assert_allclose(got.numpy(), ((unit[0] - unit[1]) ** 2).sum(1), rtol=1e-6)
    scaled = patience_loss(torch.from_numpy(own * 7), torch.from_numpy(goal * 0.1), torch.from_numpy(LENGTHS))
    np.testing.assert_allclose(scaled.numpy(), got.numpy(), rtol=1e-6)
    opposite = torch.tensor([[3.0, 0.0]])
    assert patience_loss(opposite, -opposite, torch.tensor([1])).tolist() == [4.0]


def test_relations_compare_widths_that_differ() -> None:
    wide = torch.from_numpy(np.tile(VALUES[0], (1, 1, 2)))  # twice the width of a head
    loss = relation_loss(torch.from_numpy(VALUES[0].copy()), wide, torch.from_numpy(LENGTHS), heads=HEADS)
    assert loss.shape == (N,)
    assert loss[1] == 0  # a text of one token has one relation
    assert (loss[LENGTHS > 1] > 0).all()


def test_half_precision_does_not_make_attention_negative() -> None:
    half = torch.from_numpy(ATTENTION[1]).half().float()
    loss = attention_kl(torch.from_numpy(ATTENTION[1]).float(), half, torch.from_numpy(LENGTHS))
    assert loss.abs().max() < 1e-5


def test_names_of_losses() -> None:
    assert list(EXTRA_LOSSES) == ["hidden", "attention", "embedding", "patience", "relation"]
    assert list(ATTENTION_LOSSES.items()) == [("mse", attention_mse), ("kl", attention_kl)]
