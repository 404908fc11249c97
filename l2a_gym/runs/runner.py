"""One training run from end to end: prepare, train a selector, compare it with the controls, export the student."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from l2a_agents.selector import Selector
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from l2a_gym.cache import write_folder, write_text
from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.export import check_export, export
from l2a_gym.distill.student import shape_student
from l2a_gym.errors import UserError
from l2a_gym.runs.card import model_card
from l2a_gym.runs.evaluate import Row, best_student, compare, score_export, student_seeds
from l2a_gym.runs.report import scalar_name, summarise, table
from l2a_gym.runs.rounds import begin_round, last_round, rounds_of
from l2a_gym.runs.run import Run, check_same_run, load_run, load_selector, new_selector, versions
from l2a_gym.tasks.registry import make_task

EVALUATION = 2
"""The stream of fresh student seeds; the run itself compares on stream 0 and exports on stream 1."""
SAVE_EVERY = 20.0
"""Seconds between two saves of the selector while it trains."""


def train(run: Run) -> dict[str, Any]:
    """Do the whole run and return its summary.

    The stages and what they leave in the run folder: training, round by round (``round-1/``, ..., ``selector/``,
    ``progress.json``, ``record.jsonl``, TensorBoard events), comparison (``comparison.json``), export (``student/``,
    ``exported.json``), then ``summary.json``. A stage that stands is not done again, and training that was interrupted
    goes on with the budget that was left.
    """
    folder, clock = run.folder, Clock()
    check_same_run(run)
    with clock("prepare"):  # finds what is wrong with the run before its folder is made
        check_run(run)
    forget_outdated(run)
    if (folder / "student").exists() and not (folder / "exported.json").is_file():
        check_export(folder / "student")
    open_folder(folder, run.as_dict())
    with clock("train"):
        last, selector, spent = train_rounds(run)
    with clock("evaluate"):
        rows = stage(folder / "comparison.json", lambda: compared(last, selector))
    with clock("export"):
        exported = stage(folder / "exported.json", lambda: export_student(last, selector, folder / "student"))
    prepared = last.environment().world.prepared
    summary = summarise(prepared, rows_of(rows)) | {"exported": exported, "seconds": clock.seconds, "spent": spent}
    write_text(folder / "summary.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    print(f"selector, student and records: {folder}")
    return summary


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the run folder {folder} can't be made ({error.strerror}): name another with --out") from error
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


def evaluate_run(folder: Path, students: int) -> dict[str, Any]:
    """Repeat a finished run's comparison on fresh student seeds; prints the table and writes ``evaluation.json``."""
    run = load_run(folder)
    last = last_round(run)
    rows = compare(last, load_selector(last), student_seeds(EVALUATION, students, run.seed))
    summary = summarise(last.environment().world.prepared, rows)
    write_text(folder / "evaluation.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    return summary


def compared(run: Run, selector: Selector) -> dict[str, Any]:
    """The comparison of a run's selector with the controls, for JSON."""
    rows = compare(run, selector, student_seeds(0, run.student_seeds, run.seed))
    return {name: [row.as_dict() for row in each] for name, each in rows.items()}


def rows_of(comparison: dict[str, Any]) -> dict[str, list[Row]]:
    """The rows that :func:`compared` put into JSON."""
    return {name: [Row.of(values) for values in each] for name, each in comparison.items()}


def stage(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``file`` holds, after making it where it is missing."""
    if not file.is_file():
        write_text(file, json.dumps(make(), indent=1))
    result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result


def forget_outdated(run: Run) -> None:
    """Remove a comparison and an export that were made with other settings than the run's."""
    if (run.folder / "config.json").is_file() and load_run(run.folder).as_dict() != run.as_dict():
        for name in ("comparison.json", "exported.json"):
            (run.folder / name).unlink(missing_ok=True)


def train_selector(run: Run, selector: Selector) -> int:
    """Spend the run's budget on the selector; returns what was spent, earlier calls included.

    Where the run's folder holds a selector that was interrupted, training goes on from it.
    """
    with Progress(run, selector) as progress:
        if progress.before < run.budget:
            seed = int(np.random.SeedSequence([run.seed, progress.before]).generate_state(1)[0])
            selector.train(
                run.make_env(**selector.env_options), run.budget - progress.before, seed, progress.log, run.num_envs
            )
    return progress.spent


class Progress:
    """Shows, records and saves a selector's training; on leaving, however it ends, the selector is saved.

    Attributes:
        before: what earlier, interrupted calls spent.
        spent: what is spent in all.
    """

    def __init__(self, run: Run, selector: Selector) -> None:
        self.run, self.selector = run, selector
        self.saved_at = time.monotonic()
        self.file = run.folder / "progress.json"
        self.before = self.spent = 0
        run.folder.mkdir(parents=True, exist_ok=True)
        if self.file.is_file():
            self.before = self.spent = json.loads(self.file.read_text(encoding="utf-8"))["spent"]
            selector.load(run.folder / "selector")

    def __enter__(self) -> Progress:
        self.bar = tqdm(total=self.run.budget, initial=self.before, unit="unit", desc=f"training {self.run.algo}")
        self.writer = SummaryWriter(str(self.run.folder / "tensorboard"))
        self.record = (self.run.folder / "record.jsonl").open("a", encoding="utf-8")
        return self

    def log(self, spent: int, values: dict[str, float]) -> None:
        """Take what the selector reports after ``spent`` units of this call."""
        self.spent = self.before + spent
        self.bar.update(self.spent - self.bar.n)
        self.bar.set_postfix({name: f"{values[name]:.3f}" for name in ("gain", "dev_accuracy") if name in values})
        for name, value in values.items():
            self.writer.add_scalar(scalar_name(name), value, self.spent)
        self.record.write(json.dumps({"spent": self.spent, **values}) + "\n")
        if time.monotonic() - self.saved_at > SAVE_EVERY:
            self.save()

    def save(self, finished: bool = False) -> None:
        """Save the selector, then what it cost so far, and whether its training came to its end."""
        write_folder(self.run.folder / "selector", self.selector.save)
        write_text(self.file, json.dumps({"spent": self.spent, "finished": finished}))
        self.record.flush()
        self.saved_at = time.monotonic()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.save(finished=error is None)
        self.record.close()
        self.writer.close()
        self.bar.close()


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
