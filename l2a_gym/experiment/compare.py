"""A run's selector beside the baselines: rows by the same students as a benchmark's."""

from __future__ import annotations

import time
from collections.abc import Sequence

from l2a_agents.selector import Selector
from tqdm import tqdm

from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.job import Job, row_of
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, UNIFORM
from l2a_gym.experiment.training import Snapshots


def compare(run: Run, adapter: TaskAdapter, selector: Selector, spent: int, seeds: Sequence[int]) -> list[Row]:
    """Score a run's selector and the baselines that the task admits on the same seeds.

    Args:
        run: the run, or its last round.
        adapter: of its task.
        selector: as it was trained.
        spent: units that its training took.
        seeds: of the final students.

    Returns:
        A row each; the last is the selector's.
    """
    names = [NONE, UNIFORM, *([ORACLE] if adapter.has_noise() else [])]
    rows = []
    for name in tqdm([*(each for each in names if each != run.algo), run.algo], desc="comparing", leave=False):
        start = time.perf_counter()
        if name == run.algo:
            hyper, kept = run.selector, Snapshots(run.folder / "snapshots", selector, run.budget).kept()
            job = Job(run.task, name, run.seed, run.budget, len(seeds), run.environment, hyper)
            rows.append(row_of(job, adapter, selector, seeds, start, spent, kept))
        else:
            job = Job(run.task, name, run.seed, run.budget, len(seeds), run.environment)
            rows.append(row_of(job, adapter, adapter.selector(name), seeds, start))
    return rows
