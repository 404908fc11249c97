"""Learning rates: up, then down, for any length."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from l2a_gym.distill.schedule import one_cycle


def rates(updates: int, anneal: Literal["cos", "linear"]) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = one_cycle(optimizer, 0.5, updates, anneal)
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("updates", [1, 2, 3, 9, 10, 11, 19, 20, 200])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_every_length_has_a_schedule(updates: int, anneal: str) -> None:
    found = np.array(rates(updates, anneal))
    top = int(found.argmax())
    assert (np.diff(found[: top + 1]) > 0).all()
    assert (np.diff(found[top:]) < 0).all()
    if updates > 2:
        assert found.max() == pytest.approx(0.5)
        assert found[-1] < 0.01


def test_a_tenth_of_the_updates_warms_up() -> None:
    assert int(np.argmax(rates(200, "linear"))) == 19
