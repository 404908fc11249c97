"""A run of the small task that is never trained, and what is prepared for it; files that train have their own."""

from __future__ import annotations

from typing import Any

import pytest

from l2a_gym.prepared import Prepared
from l2a_gym.runs.run import Run


@pytest.fixture(scope="module")
def run(small: dict[str, Any]) -> Run:
    return Run(algo="similarity", **small, budget=77, seed=3)


@pytest.fixture(scope="module")
def prepared(run: Run) -> Prepared:
    return run.environment().world.prepared
