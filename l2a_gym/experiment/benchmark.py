"""A benchmark from its command to its report: jobs that are not done yet, executed, and written down one by one."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from l2a_agents.registry import selector_class
from l2a_agents.selector import Fixed
from tqdm import tqdm

from l2a_gym.cache import locked, write_text
from l2a_gym.errors import UserError, check_choice, check_least, check_seed
from l2a_gym.experiment.adapter import arena_of
from l2a_gym.experiment.executors import EXECUTORS
from l2a_gym.experiment.job import LOOKS, Job, options_of
from l2a_gym.experiment.json_lines import append
from l2a_gym.experiment.report.origin import CONFIG, FAILURES, ROWS, read_config
from l2a_gym.experiment.report.page import check_report, write_report
from l2a_gym.experiment.report.report import read_report
from l2a_gym.experiment.report.terminal import as_text
from l2a_gym.experiment.rows import Failure, Row, read_failures, read_rows
from l2a_gym.experiment.run import METHOD
from l2a_gym.experiment.selectors import load_class
from l2a_gym.experiment.suite import BASELINES, suite_of
from l2a_gym.wording import printable

EPISODE = 41
"""Units of a default episode: by these, the progress bar knows a job's length."""


@dataclass(frozen=True)
class Campaign:
    """A benchmark's run; the attributes are the command line of ``scripts/benchmark.py``.

    Attributes:
        suite: smoke, core or full: tasks, budget, seeds and selectors, all but the tasks as the suite has them unless
            given here.
        tasks: in the place of the suite's; the path of a task file is one as well, and <task>@generated has a pool
            with generated texts.
        selectors: registered names, my_module:MySelector, or <name>@shuffled and <name>@frozen for controls.
            ``none``, ``uniform`` and ``random-search`` are always compared.
        seeds: training seeds in the place of the suite's.
        tuning: the suite's tuning seeds in the place of its test seeds, for choosing settings.
        executor: local or ray.
        workers: jobs at a time on this machine; by default one a processor.
        address: of a Ray cluster; by default one is begun on this machine.
        device: auto, cpu, cuda or cuda:<i>.
        student: tiny, ratio, tinybert or pruned.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        out: folder of rows and report; by default runs/benchmark-<suite>.
    """

    suite: str = "smoke"
    tasks: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    tuning: bool = False
    executor: str = "local"
    workers: int = os.cpu_count() or 1
    address: str = ""
    device: str = "auto"
    student: str = "tiny"
    checkpoint: str = "embedded"
    out: Path | None = None

    def __post_init__(self) -> None:
        suite_of(self.suite)
        check_choice("executor", self.executor, EXECUTORS)
        check_least("workers", self.workers)
        for seed in self.seeds:
            check_seed(seed)
        if self.tuning and self.seeds:
            raise UserError("--tuning names the suite's tuning seeds: valid is it or --seeds, not both")

    @property
    def folder(self) -> Path:
        """Where rows and report lie."""
        return self.out or Path("runs") / f"benchmark-{self.suite}{'-tuning' if self.tuning else ''}"

    @property
    def settings(self) -> dict[str, str]:
        """Arguments of the environment."""
        return {"device": self.device, "student": self.student, "checkpoint": self.checkpoint}

    def axes(self) -> dict[str, list[Any]]:
        """Seeds, tasks and selectors, each once."""
        suite = suite_of(self.suite)
        seeds = self.seeds or (suite.tuning if self.tuning else suite.seeds)
        axes = {
            "seeds": seeds,
            "tasks": self.tasks or suite.tasks,
            "selectors": [*BASELINES, *(self.selectors or suite.selectors)],
        }
        return {name: list(dict.fromkeys(values)) for name, values in axes.items()}

    def jobs(self) -> list[Job]:
        """All jobs, seed by seed, so that what there is when time runs out is complete for some seeds."""
        suite = suite_of(self.suite)
        return [
            Job(task, name, seed, suite.budget, suite.students, self.settings)
            for seed, task, name in product(*self.axes().values())
        ]


def run_campaign(campaign: Campaign) -> list[Row]:
    """Do what is not done yet of a campaign, report all rows of its folder, and return them.

    In its folder, ``rows.jsonl`` gets a line for each job that is finished, ``failures.jsonl`` for each that failed
    (a run that has it among its jobs tries it again), and ``config.json`` holds the settings. A second run in the
    folder waits for the first.

    Raises:
        UserError: a selector or a task that is not valid, or a folder with rows that other settings made or with files
            of the user's in the place of ours.
    """
    check_names(campaign)
    check_report(campaign.folder)
    with locked(campaign.folder):
        jobs, file = campaign.jobs(), campaign.folder / ROWS
        rows = read_rows(file) if file.is_file() else []
        check_rows(jobs[0], rows)
        done = {row.key for row in rows}
        left = [job for job in jobs if job.key not in done]
        write_config(campaign)
        forget_failures(campaign.folder / FAILURES, left)
        rows += record(results(campaign, left), jobs, left, campaign.folder)
        report = read_report([file], campaign.folder)
        page, _ = write_report(report, campaign.folder)
    print(as_text(report.found))
    print(f"report: {printable(page)}")
    return rows


def write_config(campaign: Campaign) -> None:
    """Write down the settings; seeds, tasks and selectors beside those of earlier commands, whose rows are there."""
    file, out = campaign.folder / CONFIG, campaign.out and str(campaign.out)
    before = read_config(file)
    axes = {name: list(dict.fromkeys([*before.get(name, []), *each])) for name, each in campaign.axes().items()}
    write_text(file, json.dumps(asdict(campaign) | axes | {"tuning": False, "out": out}, indent=1))


def forget_failures(file: Path, jobs: list[Job]) -> None:
    """Leave out the failures of jobs that are about to be tried again."""
    again = {job.key for job in jobs}
    kept = [failure for failure in read_failures(file) if failure.key not in again]
    if kept:
        write_text(file, "".join(f"{failure.as_json()}\n" for failure in kept))
    else:
        file.unlink(missing_ok=True)


def results(campaign: Campaign, jobs: list[Job]) -> Iterator[Row | Failure]:
    """What comes of jobs; their tasks are prepared first, one after another, and one that can't be fails its jobs."""
    unprepared: dict[str, str] = {}
    for task in dict.fromkeys(job.task for job in jobs):
        arena = arena_of(task, campaign.settings)
        try:
            arena.fingerprint(arena.make_env()())
        except UserError as error:
            unprepared[task] = str(error)
        except Exception as error:
            unprepared[task] = "".join(traceback.format_exception(error))
    yield from (Failure(*job.key, unprepared[job.task]) for job in jobs if job.task in unprepared)
    ready = [job for job in jobs if job.task not in unprepared]
    if ready:
        yield from EXECUTORS[campaign.executor](ready, campaign.workers, campaign.address)


def record(results: Iterable[Row | Failure], jobs: list[Job], left: list[Job], folder: Path) -> list[Row]:
    """Write down results as they come, and show how far all is; returns the rows."""
    cost = {job.key: units(job) for job in jobs}
    before = sum(cost.values()) - sum(cost[job.key] for job in left)
    rows, failed = [], 0
    with tqdm(total=sum(cost.values()), initial=before, unit="unit", desc="benchmark") as bar:
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
    if issubclass(selector_class(job.selector), Fixed):
        return job.students * EPISODE
    return job.budget + (len(LOOKS) + 1) * job.students * EPISODE


def check_names(campaign: Campaign) -> None:
    """Find what is wrong with a campaign's tasks and selectors before anything is run.

    Raises:
        UserError: an unknown task or selector, or one that is no selector alone.
    """
    for task in campaign.axes()["tasks"]:
        arena_of(task, campaign.settings)
    for name in campaign.axes()["selectors"]:
        if name.partition("@")[0] in METHOD:
            raise UserError(
                f"{name!r} is a whole method, with texts and a student of its own: its selector is reinforce"
            )
        try:
            options_of(load_class(name))
        except (ValueError, AttributeError) as error:
            raise UserError(f"selector {name!r}: {error}") from error


def check_rows(job: Job, rows: list[Row]) -> None:
    """Find rows in a campaign's folder that can't be compared with those of its jobs, all of which are like ``job``.

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
