"""The optimizer of many students against PyTorch's of each alone."""

from __future__ import annotations

import pytest
import torch

from l2a_gym.distill.adamw import Moments, adamw_

STUDENTS, SHAPES = 3, ((5, 4), (7,))


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_each_student_learns_as_if_alone(clip: float) -> None:
    """Rates are each student's own, and the last one began three updates later than the others."""
    draw = torch.Generator().manual_seed(0)
    parameters = [torch.randn(STUDENTS, *shape, generator=draw, dtype=torch.float64) for shape in SHAPES]
    alone = [[torch.nn.Parameter(each[i].clone()) for each in parameters] for i in range(STUDENTS)]
    optimizers = [torch.optim.AdamW(each, weight_decay=0.1) for each in alone]
    moments, updates = [Moments.zeros_like(each) for each in parameters], torch.zeros(STUDENTS)
    for number in range(8):
        if number == 3:
            updates[2] = 0
            for each, moment in zip(parameters, moments, strict=True):
                moment.first[2] = moment.second[2] = 0
                each[2] = 1.0
            for parameter in alone[2]:
                parameter.data.fill_(1.0)
            optimizers[2] = torch.optim.AdamW(alone[2], weight_decay=0.1)
        gradients = [torch.randn(each.shape, generator=draw, dtype=torch.float64) for each in parameters]
        rates = torch.tensor([1e-2, 3e-3 * number, 1e-3], dtype=torch.float64)
        updates += 1
        adamw_(parameters, gradients, moments, updates.double(), rates, weight_decay=0.1, clip=clip)
        for i, (own, optimizer) in enumerate(zip(alone, optimizers, strict=True)):
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient[i].clone()
            torch.nn.utils.clip_grad_norm_(own, clip)
            optimizer.param_groups[0]["lr"] = float(rates[i])
            optimizer.step()
    for i, own in enumerate(alone):
        for together, parameter in zip(parameters, own, strict=True):
            torch.testing.assert_close(together[i], parameter.detach(), rtol=1e-12, atol=1e-12)


def test_a_student_whose_gradient_is_not_finite_leaves_the_others_alone() -> None:
    parameters = [torch.ones(2, 3)]
    moments = [Moments.zeros_like(each) for each in parameters]
    gradient = torch.tensor([[1.0, 2.0, 3.0], [1.0, torch.nan, 3.0]])
    adamw_(parameters, [gradient], moments, torch.ones(2), torch.full((2,), 0.1), weight_decay=0.0, clip=1.0)
    torch.testing.assert_close(parameters[0][0], torch.full((3,), 0.9))
    assert parameters[0][1].isnan().all()
