"""One training run from end to end: prepare, train a selector, compare it with the controls, export the student."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l2a_agents.selector import Selector

from l2a_gym.cache import check_replaceable, hashes, locked, write_text, writing
from l2a_gym.checked import digest_of
from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.export import check_export, export
from l2a_gym.distill.student import shape_student
from l2a_gym.experiment.card import model_card
from l2a_gym.experiment.evaluate import Row, best_student, compare, score_export, student_seeds
from l2a_gym.experiment.progress import train_selector
from l2a_gym.experiment.rounds import begin_round, last_round, rounds_of
from l2a_gym.experiment.run import FOLDERS, Run, check_same_run, load_run, load_selector, new_selector, versions
from l2a_gym.experiment.stage import stage, undamaged
from l2a_gym.experiment.summary import summarise, table
from l2a_gym.tasks.registry import make_task
from l2a_gym.wording import printable

EVALUATION = 2
"""The stream of fresh student seeds; the run itself compares on stream 0 and exports on stream 1."""


def train(run: Run) -> dict[str, Any]:
    """Do the whole run and return its summary.

    The stages and what they leave in the run folder: training, round by round (``round-1/``, ..., ``selector/``,
    ``record.jsonl``, TensorBoard events), comparison (``comparison.json``), export (``student/``, ``exported.json``),
    then ``summary.json``. A stage that stands is not done again, and training that was interrupted goes on with the
    budget that was left. What was damaged since is made again, with a warning. A second process waits for the first.

    Raises:
        UserError: a setting that is not valid, or a folder that holds another run or files of the user's.
    """
    folder, clock = run.folder, Clock()
    check_folders(run)
    with clock("prepare"):  # finds what is wrong with the run before its folder is made
        check_run(run)
    with locked(folder):
        check_folders(run)  # which another process may have filled
        open_folder(folder, run.as_dict())
        with clock("train"):
            last, selector, spent = train_rounds(run)
        sources = sources_of(run, last)
        with clock("evaluate"):
            rows = stage(folder / "comparison.json", sources, lambda: compared(last, selector))
        with clock("export"):
            exported = export_once(last, selector, sources)
        prepared = last.environment().world.prepared
        summary = summarise(prepared, rows_of(rows)) | {"exported": exported, "seconds": clock.seconds, "spent": spent}
        write_text(folder / "summary.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    print(f"selector, student and records: {printable(folder)}")
    return summary


def check_folders(run: Run) -> None:
    """Refuse to write into the folders of other runs, and over files of the user's.

    Raises:
        UserError: names the first folder or setting.
    """
    check_same_run(run)
    for part in rounds_of(run)[:-1]:
        for name in FOLDERS:
            check_replaceable(part.folder / name)


def check_run(run: Run) -> None:
    """Make a run's selector, shape its exported student and prepare its first round's environment; make no folder.

    Raises:
        UserError: a setting that is not valid, or an asset that can't be had.
    """
    first = rounds_of(run)[0]
    new_selector(first)
    shape_student(run.export_student, load_teacher(run.checkpoint, 2, run.seed), 1, 2, 8, 0)
    _ = first.environment().world


def open_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Make a run folder and write down its settings and the packages' versions.

    Raises:
        UserError: it can't be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.json", json.dumps(settings, indent=1))
    write_text(folder / "versions.json", json.dumps(versions(), indent=1))


def train_rounds(run: Run) -> tuple[Run, Selector, int]:
    """Train a run's selector round by round, as far as that was not done before.

    Returns:
        The last round, which has the last pool; the trained selector; and the budget spent in all rounds.
    """
    rounds = rounds_of(run)
    spent = sum(train_selector(part, begin_round(rounds, number)) for number, part in enumerate(rounds))
    return rounds[-1], load_selector(rounds[-1]), spent


def sources_of(run: Run, last: Run) -> str:
    """Hash of what a run's results are made from: its settings, its trained selector, and its last round's files."""
    files = last.environment().world.prepared.manifest()["files"]
    return digest_of([run.as_dict() | {"out": ""}, hashes(run.folder / "selector"), files])


def evaluate_run(folder: Path, students: int) -> dict[str, Any]:
    """Repeat a finished run's comparison on fresh student seeds; prints the table and writes ``evaluation.json``."""
    run = load_run(folder)
    last = last_round(run)
    with locked(folder):
        rows = compare(last, load_selector(last), student_seeds(EVALUATION, students, run.seed))
        summary = summarise(last.environment().world.prepared, rows)
        write_text(folder / "evaluation.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    return summary


def export_run(folder: Path, to: Path | None = None) -> Path:
    """Export a finished run's student; returns its folder, by default ``student`` in the run's."""
    run, to = last_round(load_run(folder)), to or folder / "student"
    with locked(folder):
        scores = export_student(run, load_selector(run), to)
    print(f"{printable(to)}: dev accuracy {scores['dev_accuracy']:.4f}, test accuracy {scores['test_accuracy']:.4f}")
    return to


def compared(run: Run, selector: Selector) -> dict[str, Any]:
    """The comparison of a run's selector with the controls, for JSON."""
    rows = compare(run, selector, student_seeds(0, run.student_seeds, run.seed))
    return {name: [row.as_dict() for row in each] for name, each in rows.items()}


def rows_of(comparison: dict[str, Any]) -> dict[str, list[Row]]:
    """The rows that :func:`compared` put into JSON."""
    return {name: [Row.of(values) for values in each] for name, each in comparison.items()}


def export_once(run: Run, selector: Selector, sources: str) -> dict[str, Any]:
    """Export a run's student unless it was done before and stands as it was written, and return its scores."""
    student = run.folder / "student"

    def make() -> dict[str, Any]:
        scores = export_student(run, selector, student)
        files = {name: sha for name, sha in hashes(student).items() if name != "README.md"}  # a card may be edited
        return {**scores, "files": files}

    def stands(values: dict[str, Any]) -> bool:
        if undamaged(student, values["files"]):
            return True
        # A damaged student is of no use to anybody, and the export would refuse to replace it.
        shutil.rmtree(student.resolve(), ignore_errors=True)
        return False

    exported = stage(run.folder / "exported.json", sources, make, stands)
    return {name: value for name, value in exported.items() if name != "files"}


def export_student(run: Run, selector: Selector, folder: Path) -> dict[str, Any]:
    """Train the final student, see :func:`best_student`, and write it as a Hugging Face folder.

    Returns:
        Its teacher, policy and number of updates; its size and its scores on dev and test, which are the folder's own.

    Raises:
        UserError: something else than an exported student stands at ``folder``, or it can't be written.
    """
    check_export(folder)
    env, scores = best_student(run, selector)
    prepared, task = env.world.prepared, make_task(run.task)

    def finish(written: Path) -> None:
        scores.update(score_export(written, task, env.world.static.device))
        scores["parameters"] = prepared.manifest()["parameters"] | {"student": scores["parameters"]}
        write_text(written / "README.md", model_card(run, prepared, scores))

    export(env.student, prepared.tokenizer(), folder, finish, pairs=task.test.pair is not None)
    return scores


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
