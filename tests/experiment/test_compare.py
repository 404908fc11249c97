"""Rows of a run's comparison, whether they are made in turn or at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from l2a_agents.selector import Action, Fixed, Observation, Spaces

from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.compare import compare
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, RULES, UNIFORM


@pytest.fixture(scope="module")
def adapter(tiny: dict[str, Any]) -> DistillAdapter:
    return DistillAdapter(tiny["task"], {name: value for name, value in tiny.items() if name != "task"})


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads torch has until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_rows_made_at_the_same_time_are_those_made_in_turn(
    tiny: dict[str, Any], adapter: DistillAdapter, threads: Callable[[int], None]
) -> None:
    run, selector = Run(algo="similarity", **tiny, budget=1), adapter.selector("similarity")
    found: list[list[Row]] = []
    for number in (1, 3):
        threads(number)
        assert len(adapter.at_once(2)) == min(number, 2)
        found.append([replace(row, seconds=0) for row in compare(run, adapter, selector, [1])])
        assert torch.get_num_threads() == number
    assert [row.selector for row in found[0]] == [NONE, UNIFORM, *RULES, ORACLE, "similarity"]
    assert found[1] == found[0]


class Broken(Fixed):
    """Has no weights."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        raise ZeroDivisionError("no weights")


def test_a_selector_that_fails_ends_the_comparison(tiny: dict[str, Any], adapter: DistillAdapter) -> None:
    run, selector = Run(algo="similarity", **tiny, budget=1), Broken(Spaces.from_env(adapter.env()))
    with pytest.raises(ZeroDivisionError, match="no weights"):
        compare(run, adapter, selector, [1])
