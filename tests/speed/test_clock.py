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
    seconds = interleave(calls, 3, CPU, "test")
    assert "".join(called) == "abbaabba"
    assert seconds.shape == (3, 2)


def test_each_call_has_its_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def take(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    seconds = interleave([lambda: take(2.0), lambda: take(0.5)], 2, CPU, "test")
    assert seconds.tolist() == [[2.0, 0.5], [2.0, 0.5]]


def test_a_figure_needs_a_turn() -> None:
    with pytest.raises(UserError, match=r"^repeats = 0: valid are whole numbers from 1$"):
        interleave([lambda: None], 0, CPU, "test")
