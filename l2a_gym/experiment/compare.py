"""A run's selector beside the baselines: rows by the same students as a benchmark's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue

import torch
from l2a_agents.selector import Selector

from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.job import Job, row_of
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, RULES, UNIFORM
from l2a_gym.experiment.training import Snapshots
from l2a_gym.progress import progress_bar

AT_ONCE = 4
"""Rows, at most, that are made at the same time: each needs an environment of its own."""


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
    order = [*(each for each in names if each != run.algo), run.algo]
    adapter.classifiers()  # alone, as their speed is measured
    free: SimpleQueue[TaskAdapter] = SimpleQueue()
    for each in (adapters := adapter.at_once(AT_ONCE)):
        free.put(each)

    def score(name: str) -> Row:
        own, start = free.get(), time.perf_counter()
        try:
            job = Job(run.task, name, run.seed, run.budget, len(seeds), run.environment)
            if name != run.algo:
                return row_of(job, own, own.selector(name), seeds, start)
            kept = Snapshots(run.folder / "snapshots", selector, run.budget).kept() if curve else {}
            return row_of(replace(job, hyper=run.selector), own, selector, seeds, start, spent, kept)
        finally:
            free.put(own)

    pool = ThreadPoolExecutor(len(adapters), initializer=torch.set_num_threads, initargs=(1,))
    try:
        return [*progress_bar(pool.map(score, order), desc="comparing", total=len(order), leave=False)]
    finally:
        pool.shutdown(cancel_futures=True)
