"""A run's selector beside the baselines: rows by the same students as a benchmark's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from l2a_agents.selector import Selector

from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.job import Job, row_of
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, RULES, UNIFORM
from l2a_gym.experiment.training import Snapshots
from l2a_gym.progress import progress_bar


def compare(
    run: Run, adapter: TaskAdapter, selector: Selector, seeds: Sequence[int], spent: int = 0, curve: bool = False
) -> list[Row]:
    """Score a run's selector and the baselines that the task admits on the same seeds.

    Args:
        run: the run, or its last round.
        adapter: of its task.
        selector: as it was trained.
        seeds: of the final students.
        spent: units that its training took.
        curve: score the selector as it was on the way, too.

    Returns:
        A row each; the last is the selector's.
    """
    names = [NONE, UNIFORM, *RULES, *([ORACLE] if adapter.has_noise() else [])]
    rows = []
    for name in progress_bar([*(each for each in names if each != run.algo), run.algo], desc="comparing", leave=False):
        start = time.perf_counter()
        job = Job(run.task, name, run.seed, run.budget, len(seeds), run.environment)
        if name == run.algo:
            kept = Snapshots(run.folder / "snapshots", selector, run.budget).kept() if curve else {}
            rows.append(row_of(replace(job, hyper=run.selector), adapter, selector, seeds, start, spent, kept))
        else:
            rows.append(row_of(job, adapter, adapter.selector(name), seeds, start))
    return rows
