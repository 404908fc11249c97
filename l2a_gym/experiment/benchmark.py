"""A benchmark from its command to its report: jobs that are not done yet, executed, and written down one by one."""

from __future__ import annotations

import json
import traceback
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from l2a_agents.selector import Fixed

from l2a_gym.cache import locked, write_text
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter, adapter_of
from l2a_gym.experiment.executors import EXECUTORS
from l2a_gym.experiment.job import Job, check_options
from l2a_gym.experiment.json_lines import append
from l2a_gym.experiment.report.origin import CONFIG, FAILURES, ROWS, read_config
from l2a_gym.experiment.report.page import check_report, write_report
from l2a_gym.experiment.report.report import read_report
from l2a_gym.experiment.report.terminal import as_text
from l2a_gym.experiment.rows import Failure, Row, read_failures, read_rows
from l2a_gym.experiment.selectors import load_class
from l2a_gym.experiment.settings import METHOD, Benchmark
from l2a_gym.experiment.suite import BASELINES
from l2a_gym.experiment.training import LOOKS
from l2a_gym.preparation.parcel import export_prepared
from l2a_gym.progress import progress_bar
from l2a_gym.wording import printable

EPISODE = 41
"""Units of a default episode: by these, the progress bar knows a job's length."""


def axes_of(benchmark: Benchmark) -> dict[str, list[Any]]:
    """Seeds, tasks and selectors, each once."""
    suite = benchmark.frozen
    axes: dict[str, Sequence[Any]] = {
        "seeds": benchmark.seeds or (suite.tuning if benchmark.tuning else suite.seeds),
        "tasks": benchmark.tasks or suite.tasks,
        "selectors": [*BASELINES, *(benchmark.selectors or suite.selectors)],
    }
    return {name: list(dict.fromkeys(values)) for name, values in axes.items()}


def jobs_of(benchmark: Benchmark) -> list[Job]:
    """All jobs, seed by seed, so that what there is when time runs out is complete for some seeds."""
    suite = benchmark.frozen
    return [
        Job(task, name, seed, suite.budget, suite.students, benchmark.environment)
        for seed, task, name in product(*axes_of(benchmark).values())
    ]


def run_benchmark(benchmark: Benchmark) -> list[Row]:
    """Do what is not done yet of a benchmark, report all rows of its folder, and return them.

    In its folder, ``rows.jsonl`` gets a line for each job that is finished, ``failures.jsonl`` for each that failed
    (a run that has it among its jobs tries it again), and ``config.json`` holds the settings. A second run in the
    folder waits for the first.

    Raises:
        UserError: a selector or a task that is not valid, or a folder with rows that other settings made or with files
            of the user's in the place of ours.
    """
    check_names(benchmark)
    check_report(benchmark.folder)
    with locked(benchmark.folder):
        jobs, file = jobs_of(benchmark), benchmark.folder / ROWS
        rows = read_rows(file) if file.is_file() else []
        check_rows(jobs[0], rows)
        done = {row.key for row in rows}
        left = [job for job in jobs if job.key not in done]
        write_config(benchmark)
        forget_failures(benchmark.folder / FAILURES, left)
        with closing(results(benchmark, left)) as found:  # Ctrl-C may come here, and ends the workers too
            rows += record(found, jobs, left, benchmark.folder)
        report = read_report([file], benchmark.folder)
        page, *_ = write_report(report, benchmark.folder)
    print(as_text(report.found))
    print(f"report: {printable(page)}")
    return rows


def export_tasks(benchmark: Benchmark, to: Path) -> str:
    """Write the prepared files that a benchmark's rows need into one file; returns its SHA-256.

    Raises:
        UserError: a task or a selector that is not valid, or a file that can't be written.
    """
    adapters = [adapter_of(task, benchmark.environment) for task in axes_of(benchmark)["tasks"]]
    folders = [each.prepared.folder for each in adapters if isinstance(each, DistillAdapter)]
    return export_prepared(list(dict.fromkeys(folders)), to)


def write_config(benchmark: Benchmark) -> None:
    """Write down the settings; seeds, tasks and selectors beside those of earlier commands, whose rows are there."""
    file, out = benchmark.folder / CONFIG, benchmark.out and str(benchmark.out)
    before = read_config(file)
    axes = {name: list(dict.fromkeys([*before.get(name, []), *each])) for name, each in axes_of(benchmark).items()}
    write_text(file, json.dumps(asdict(benchmark) | axes | {"tuning": False, "out": out}, indent=1))


def forget_failures(file: Path, jobs: list[Job]) -> None:
    """Leave out the failures of jobs that are about to be tried again."""
    again = {job.key for job in jobs}
    kept = [failure for failure in read_failures(file) if failure.key not in again]
    if kept:
        write_text(file, "".join(f"{failure.as_json()}\n" for failure in kept))
    else:
        file.unlink(missing_ok=True)


def results(benchmark: Benchmark, jobs: list[Job]) -> Generator[Row | Failure, None, None]:
    """What comes of jobs; their tasks are prepared and their classifiers scored first, one task after another.

    A task for which that fails fails its jobs.
    """
    unprepared: dict[str, str] = {}
    for task in dict.fromkeys(job.task for job in jobs):
        try:
            adapter_of(task, benchmark.environment).classifiers()
        except UserError as error:
            unprepared[task] = str(error)
        except Exception as error:
            unprepared[task] = "".join(traceback.format_exception(error))
    yield from (Failure(*job.key, unprepared[job.task]) for job in jobs if job.task in unprepared)
    ready = [job for job in jobs if job.task not in unprepared]
    if ready:
        yield from EXECUTORS[benchmark.executor](ready, benchmark.workers, benchmark.address)


def record(results: Iterable[Row | Failure], jobs: list[Job], left: list[Job], folder: Path) -> list[Row]:
    """Write down results as they come, and show how far all is; returns the rows."""
    cost = {job.key: units(job) for job in jobs}
    before = sum(cost.values()) - sum(cost[job.key] for job in left)
    rows, failed = [], 0
    with progress_bar(total=sum(cost.values()), initial=before, unit="unit", desc="benchmark") as bar:
        for result in results:
            if isinstance(result, Row):
                append(folder / ROWS, result.as_json())
                rows.append(result)
            else:
                append(folder / FAILURES, result.as_json())
                failed += 1
                said = f"{result.selector} on {result.task}, seed {result.seed}: {result.reason}"
                bar.write(f"failed: {printable(said)}")
            bar.set_postfix(done=len(jobs) - len(left) + len(rows), failed=failed, of=len(jobs))
            bar.update(cost[result.key])
    return rows


def units(job: Job) -> int:
    """About what a job costs, in student updates and dev passes."""
    if issubclass(load_class(job.selector), Fixed):
        return job.students * EPISODE
    return job.budget + (len(LOOKS) + 1) * job.students * EPISODE


def check_names(benchmark: Benchmark) -> None:
    """Find what is wrong with a benchmark's tasks and selectors before anything is run.

    Raises:
        UserError: an unknown task or selector, or one that is no selector alone.
    """
    for task in axes_of(benchmark)["tasks"]:
        adapter_of(task, benchmark.environment)
    for name in axes_of(benchmark)["selectors"]:
        if name.partition("@")[0] in METHOD:
            raise UserError(f"{name!r} is a method with texts and a student of its own: its selector is influence")
        check_options(load_class(name))


def check_rows(job: Job, rows: list[Row]) -> None:
    """Find rows in a benchmark's folder that can't be compared with those of its jobs, all of which are like ``job``.

    Raises:
        UserError: there is one.
    """
    now = (job.budget, job.students, dict(job.settings))
    for row in rows:
        made = (row.budget, len(row.students), dict(row.settings))
        if made != now:
            raise UserError(
                f"the folder holds a row of {row.selector} on {row.task}, seed {row.seed}, that was made with budget, "
                f"students and settings {made}, not {now}: give another folder with --out"
            )
