"""A run from end to end: prepare, train a selector, compare it with the baselines, export the student."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from l2a_agents.selector import Selector

from l2a_gym.cache import check_replaceable, hashes, locked, write_text, writing
from l2a_gym.checked import digest_of
from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.onnx import check_onnx
from l2a_gym.distill.student import shape_student
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter, TaskAdapter, adapter_of
from l2a_gym.experiment.candidates import write_candidates
from l2a_gym.experiment.compare import compare
from l2a_gym.experiment.final import export_once, export_student
from l2a_gym.experiment.job import versions
from l2a_gym.experiment.push import check_hub_id, push
from l2a_gym.experiment.report.run_page import write_run_page
from l2a_gym.experiment.rounds import rounds_of, train_rounds
from l2a_gym.experiment.rows import Row, read_rows
from l2a_gym.experiment.run import FOLDERS, check_same_run, load_run, load_selector, new_selector
from l2a_gym.experiment.seeds import EVALUATION, episode_seeds, student_seeds
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.stage import written_once
from l2a_gym.experiment.summary import formats_as_text, summarise, table, table_over_seeds
from l2a_gym.preparation.data_report import data_report
from l2a_gym.wording import printable

log = logging.getLogger(__name__)


def train(run: Run) -> dict[str, Any]:
    """Do the whole run and return its summary.

    The stages and what they leave in the run folder: training, round by round (``round-1/``, ..., ``selector/``,
    ``record.jsonl``, TensorBoard events), comparison (``rows.jsonl``, ``comparison.json``), what was chosen
    (``candidates.parquet``, ``candidates.json``), export (``student/``, ``exported.json``), then ``summary.json`` and
    the page ``run.html``. A stage that stands is not done again, and training that was interrupted goes on with the
    budget that was left. What was damaged since is made again, with a warning. A second process waits for the first.
    The toy has no texts to choose, and no student to export.

    Raises:
        UserError: a setting that is not valid, or a folder that holds another run or files of the user's.
    """
    folder, clock = run.folder, Clock()
    with trained(run, clock) as (last, adapter, selector, spent, sources):
        with clock("evaluate"):
            rows = compared(last, adapter, selector, spent, sources)
        summary = summarise(adapter, run.algo, rows) | {"seconds": clock.seconds, "spent": spent}
        if isinstance(adapter, DistillAdapter):
            with clock("candidates"):
                write_candidates(last, adapter, selector, sources)
            with clock("export"):
                summary["exported"] = export_once(last, adapter, selector, sources)
            summary["warnings"] = list(data_report(adapter.task, run.checkpoint).warnings)
        write_text(folder / "summary.json", json.dumps(summary, indent=1))
        page = write_run_page(folder)
    print(table(run, summary))
    print(f"selector, candidates, student and records: {printable(folder)}")
    print(f"what was chosen, as a page: {printable(page)}")
    return summary


class Trained(NamedTuple):
    """A run whose selector is trained.

    Attributes:
        run: its last round.
        adapter: of that round's task.
        selector: as it was trained.
        spent: budget, in all rounds.
        sources: hash of what results are made from.
    """

    run: Run
    adapter: TaskAdapter
    selector: Selector
    spent: int
    sources: str


@contextmanager
def trained(run: Run, clock: Clock) -> Iterator[Trained]:
    """Train a run's selector, as far as that was not done; the run's folder is locked until the caller is done.

    Raises:
        UserError: a setting that is not valid, or a folder that holds another run or files of the user's.
    """
    check_folders(run)
    with clock("prepare"):  # finds what is wrong with the run before its folder is made
        first = opened(run)
    with locked(run.folder):
        check_folders(run)  # which another process may have filled
        open_folder(run.folder, run.as_dict())
        with clock("train"):
            last, adapter, selector, spent = train_rounds(run, first)
        yield Trained(last, adapter, selector, spent, sources_of(run, adapter))


def train_seeds(run: Run, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Do a run for each of several seeds, each in a folder of its own; prints their table; returns the summaries."""
    runs = [replace(run, seed=seed, out=run.out and run.out / f"s{seed}") for seed in seeds]
    summaries = [train(each) for each in runs]
    print(table_over_seeds(run, summaries))
    return summaries


def check_folders(run: Run) -> None:
    """Refuse to write into the folders of other runs, and over files of the user's.

    Raises:
        UserError: names the first folder or setting.
    """
    check_same_run(run)
    for part in rounds_of(run)[:-1]:
        for name in FOLDERS:
            check_replaceable(part.folder / name)


def opened(run: Run) -> TaskAdapter:
    """The task of a run's first round, prepared; finds what is wrong with the run, and makes no folder.

    Raises:
        UserError: a setting that is not valid, an asset that can't be had, or a package that is missing.
    """
    if run.onnx:
        check_onnx()
    first = rounds_of(run)[0]
    adapter = adapter_of(first.task, first.environment)
    new_selector(first, adapter)
    if isinstance(adapter, DistillAdapter) and run.export_student != run.student:
        shape_student(str(run.export_student), load_teacher(run.checkpoint, 2, run.seed), 1, 2, 8, 0)
    adapter.fingerprint()
    return adapter


def open_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Make a run folder and write down its settings and the packages' versions.

    Raises:
        UserError: it can't be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.json", json.dumps(settings, indent=1))
    write_text(folder / "versions.json", json.dumps(versions(), indent=1))


def sources_of(run: Run, adapter: TaskAdapter) -> str:
    """Hash of what a run's results are made from: its settings, its trained selector, and its last round's files."""
    return digest_of(
        [
            run.as_dict() | {"out": "", "candidates": "", "onnx": False},
            hashes(run.folder / "selector"),
            adapter.fingerprint(),
        ]
    )


def compared(run: Run, adapter: TaskAdapter, selector: Selector, spent: int, sources: str) -> list[Row]:
    """The rows of a run's selector and of the baselines, in ``rows.jsonl``; made unless they stand."""
    file = run.folder / "rows.jsonl"

    def make() -> None:
        seeds = student_seeds(run.task, run.students, run.seed)
        rows = compare(run, adapter, selector, seeds, spent, curve=True)
        write_text(file, "".join(f"{row.as_json()}\n" for row in rows))

    written_once([file], run.folder / "comparison.json", sources, make)
    return read_rows(file)


def evaluate_run(folder: Path, students: int) -> dict[str, Any]:
    """Repeat a finished run's comparison on fresh student seeds; prints the table and writes ``evaluation.json``."""
    run = load_run(folder)
    with locked(folder):
        last, adapter = last_of(run)
        selector = load_selector(last, adapter)
        spent = read_rows(folder / "rows.jsonl")[-1].spent
        rows = compare(last, adapter, selector, episode_seeds(EVALUATION, students, run.seed), spent)
        summary = summarise(adapter, run.algo, rows)
        write_text(folder / "evaluation.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    return summary


def export_run(folder: Path, to: Path | None = None, *, onnx: bool = False, push_to: str = "") -> Path:
    """Export a finished run's student; returns its folder, by default ``student`` in the run's.

    Args:
        folder: the run's.
        to: where a student is trained and written anew; None: in the run's folder, unless it stands there.
        onnx: add ONNX files, as the run's own setting does.
        push_to: a hub id that the student is then uploaded to.

    Raises:
        UserError: the run is the toy's, which has none, its training has not come to its end, or the hub refuses.
    """
    run = load_run(folder)
    run = replace(run, onnx=run.onnx or onnx)
    if run.onnx:
        check_onnx()
    if push_to:
        check_hub_id(push_to)
    with locked(folder):
        last, adapter = last_of(run)
        if not isinstance(adapter, DistillAdapter):
            raise UserError(f"{folder} is a run on the toy, whose students are made up: there is none to export")
        selector = load_selector(last, adapter)
        if to is None:
            scores = export_once(last, adapter, selector, sources_of(run, adapter))
        else:
            scores = export_student(last, adapter, selector, to)
    to = to or folder / "student"
    print(f"{printable(to)}: dev accuracy {scores['dev_accuracy']:.4f}, test accuracy {scores['test_accuracy']:.4f}")
    print(*formats_as_text(scores), sep="\n")
    if push_to:
        print(f"pushed to {push(to, push_to)}")
    return to


def last_of(run: Run) -> tuple[Run, TaskAdapter]:
    """The last round of a run, and its adapter."""
    last = rounds_of(run)[-1]
    return last, adapter_of(last.task, last.environment)


class Clock:
    """Seconds of named parts of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a part."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 1)
