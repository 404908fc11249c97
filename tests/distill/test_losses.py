"""The losses against formulas written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l2a_gym.distill.losses import distillation_loss, soft_target_loss

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
