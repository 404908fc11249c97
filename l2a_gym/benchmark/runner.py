"""One training run from end to end: prepare, train a selector, compare it with the controls, export the student."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from l2a_agents.selector import Selector
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from l2a_gym.benchmark.evaluate import compare, final_student, student_seeds
from l2a_gym.benchmark.report import model_card, summarise, table
from l2a_gym.benchmark.run import Run, check_same_run, load_run, load_selector, new_selector, versions
from l2a_gym.cache import write_text
from l2a_gym.distill.export import export
from l2a_gym.errors import UserError

EVALUATION = 2
"""The stream of fresh student seeds; the run itself compares on stream 0 and exports on stream 1."""
SAVE_EVERY = 20.0
"""Seconds between two saves of the selector while it trains."""


def train(run: Run) -> dict[str, Any]:
    """Do the whole run and return its summary; a run that was interrupted goes on with the budget that was left.

    The run folder gets ``config.json``, ``record.jsonl``, ``progress.json``, ``selector/``, ``student/``,
    ``summary.json`` and TensorBoard events.
    """
    folder, clock = run.folder, Clock()
    check_same_run(run)
    selector = new_selector(run)
    with clock("prepare"):  # finds what is wrong with the run before its folder is made
        prepared = run.environment().world.prepared
    try:
        (folder / "selector").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the run folder {folder} can't be made ({error.strerror}): name another with --out") from error
    write_text(folder / "config.json", json.dumps(run.as_dict(), indent=1))
    write_text(folder / "versions.json", json.dumps(versions(), indent=1))
    with clock("train"):
        spent = train_selector(run, selector)
    with clock("evaluate"):
        rows = compare(run, selector, student_seeds(0, run.student_seeds, run.seed))
    with clock("export"):
        exported = export_student(run, selector, folder / "student")
    summary = summarise(prepared, rows) | {"exported": exported, "seconds": clock.seconds, "spent": spent}
    write_text(folder / "summary.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    print(f"selector, student and records: {folder}")
    return summary


def evaluate_run(folder: Path, students: int) -> dict[str, Any]:
    """Repeat a finished run's comparison on fresh student seeds; prints the table and writes ``evaluation.json``."""
    run = load_run(folder)
    rows = compare(run, load_selector(run), student_seeds(EVALUATION, students, run.seed))
    summary = summarise(run.environment().world.prepared, rows)
    write_text(folder / "evaluation.json", json.dumps(summary, indent=1))
    print(table(run, summary))
    return summary


def train_selector(run: Run, selector: Selector) -> int:
    """Spend the run's budget on the selector; returns what was spent, earlier calls included.

    Where the run's folder holds a selector that was interrupted, training goes on from it.
    """
    threads = max(1, torch.get_num_threads() // run.num_envs)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # for the workers that training spawns
    with Progress(run, selector) as progress:
        if progress.before < run.budget:
            seed = int(np.random.SeedSequence([run.seed, progress.before]).generate_state(1)[0])
            selector.train(run.make_env(), run.budget - progress.before, seed, progress.log, run.num_envs)
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
            self.writer.add_scalar(name if "/" in name else f"train/{name}", value, self.spent)
        self.record.write(json.dumps({"spent": self.spent, **values}) + "\n")
        if time.monotonic() - self.saved_at > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Save the selector, then what it cost so far."""
        self.selector.save(self.run.folder / "selector")
        write_text(self.file, json.dumps({"spent": self.spent}))
        self.record.flush()
        self.saved_at = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.save()
        self.record.close()
        self.writer.close()
        self.bar.close()


def export_student(run: Run, selector: Selector, folder: Path) -> dict[str, Any]:
    """Train the final student on a long episode under the selector, and write it as a Hugging Face folder.

    Returns:
        Its scores on dev and test, and its number of updates.
    """
    env, scores = final_student(run, selector)
    prepared = env.world.prepared
    export(env.distiller.student, prepared.tokenizer(), model_card(run, prepared, scores), folder)
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
