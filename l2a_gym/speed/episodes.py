"""How many episodes an hour a selector's training plays, all included."""

from __future__ import annotations

import time

import numpy as np

from l2a_gym.experiment.adapter import adapter_of
from l2a_gym.experiment.run import new_selector
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.training import train


def episodes(run: Run, number: int) -> float:
    """Train a run's selector for about ``number`` episodes, from its first report on.

    What comes before the first report is a start that does not grow with the budget.
    """
    adapter = adapter_of(run.task, run.environment)
    env = adapter.env()
    cost = env.get_wrapper_attr("steps") * (env.get_wrapper_attr("updates") + 1) + 1
    reports: list[tuple[float, int]] = []

    def report(spent: int, _: object) -> None:
        reports.append((time.perf_counter(), spent))

    train(adapter, new_selector(run, adapter), number * cost, run.seed, report, run.num_envs)
    seconds, spent = np.diff(np.array(reports)[[0, -1]], axis=0)[0]
    return float(spent / cost / seconds * 3600)
