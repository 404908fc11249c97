"""Rows of a run's comparison, whether they are made in turn or at the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.compare import compare
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, RULES, UNIFORM


@pytest.fixture
def threads() -> Any:
    """Sets how many threads torch has until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_rows_made_at_the_same_time_are_those_made_in_turn(
    small: dict[str, Any], adapter: DistillAdapter, threads: Any
) -> None:
    run, selector = Run(algo="similarity", **small, budget=1), adapter.selector("similarity")
    found: list[list[Row]] = []
    for number in (1, 3):
        threads(number)
        assert len(adapter.at_once(2)) == min(number, 2)
        found.append([replace(row, seconds=0) for row in compare(run, adapter, selector, [1, 2])])
        assert torch.get_num_threads() == number
    assert [row.selector for row in found[0]] == [NONE, UNIFORM, *RULES, ORACLE, "similarity"]
    assert found[1] == found[0]


def test_a_rule_that_fails_ends_the_comparison(
    small: dict[str, Any], adapter: DistillAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(type(adapter.selector("similarity"))):  # type: ignore[misc]
        def act(self, observation: Any, deterministic: bool = True) -> Any:
            raise ZeroDivisionError("no weights")

    run = Run(algo="similarity", **small, budget=1)
    with pytest.raises(ZeroDivisionError, match="no weights"):
        compare(run, adapter, Broken(adapter.selector("similarity").spaces), [1])
