"""Until runs take the settings of ``settings.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from l2a_gym.experiment import run as before
from l2a_gym.experiment import runner
from l2a_gym.experiment.runner import evaluate_run, export_run
from l2a_gym.experiment.settings import Run

__all__ = ["evaluate_run", "export_run", "train", "train_seeds"]


def train(run: Run) -> dict[str, Any]:
    """Train."""
    shared = {each.name: getattr(run, each.name) for each in fields(before.Run) if each.name != "student_seeds"}
    return runner.train(before.Run(**shared, student_seeds=run.students))


def train_seeds(run: Run, seeds: Sequence[int]) -> None:
    """Train several times."""
    for seed in seeds:
        train(replace(run, seed=seed))
