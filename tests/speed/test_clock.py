"""Interleaved timing."""

from __future__ import annotations

import time

import pytest
import torch

from l2a_gym.errors import UserError
from l2a_gym.speed.clock import interleave

CPU = torch.device("cpu")


def test_calls_take_turns_and_the_first_turn_warms_up() -> None:
    called: list[str] = []
    calls = [lambda: called.append("a"), lambda: called.append("b")]
    seconds = interleave(calls, 3, CPU, before=lambda: called.append("|"))
    assert "".join(called) == "|a|b|b|a|a|b|b|a"
    assert seconds.shape == (3, 2)


def test_each_call_has_its_own_seconds() -> None:
    seconds = interleave([lambda: time.sleep(0.2), lambda: None], 2, CPU, before=lambda: time.sleep(0.1))
    assert (seconds[:, 0] >= 0.2).all()
    assert (seconds[:, 1] < 0.1).all()


def test_a_figure_needs_a_turn() -> None:
    with pytest.raises(UserError, match=r"^repeats = 0: valid are whole numbers from 1$"):
        interleave([lambda: None], 0, CPU)
