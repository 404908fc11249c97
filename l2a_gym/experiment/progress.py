"""A selector's training: shown, recorded, saved on the way, and gone on with after an interruption."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from l2a_agents.selector import Fixed, Selector
from torch.utils.tensorboard import SummaryWriter

from l2a_gym.cache import damaged, tidy, write_folder, write_text, writing
from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.run import PROGRESS, selector_key
from l2a_gym.experiment.seeds import training_seed
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.training import Snapshots, train
from l2a_gym.progress import progress_bar
from l2a_gym.wording import printable

log = logging.getLogger(__name__)

EPISODE = ("reward", "gain", "dev_accuracy", "dev_nll", "dev_macro_f1")
"""Logged figures that say how episodes went, by whatever selector."""
SAVE_EVERY = 20.0
"""Seconds between two saves of the selector while it trains."""


def train_selector(run: Run, adapter: TaskAdapter, selector: Selector) -> int:
    """Spend the run's budget on the selector; returns what was spent, earlier calls included.

    Where the run's folder holds a selector that was interrupted, training goes on from it. One that is damaged is
    trained anew, with a warning.
    """
    progress = Progress(run, selector)
    if progress.finished:
        return progress.spent
    with progress:
        if (left := run.budget - progress.before) > 0:
            seed = training_seed(run.task, run.seed, progress.before)
            progress.spent = progress.before + train(adapter, selector, left, seed, progress.log, run.num_envs)
    return progress.spent


class Progress:
    """Shows, records and saves a selector's training; on leaving, however it ends, the selector is saved.

    Attributes:
        before: what earlier, interrupted calls spent.
        spent: what is spent in all.
        finished: whether an earlier call came to the end of this budget.
    """

    def __init__(self, run: Run, selector: Selector) -> None:
        self.run, self.selector = run, selector
        self.saved_at = time.monotonic()
        self.folder, self.record = run.folder / "selector", run.folder / "record.jsonl"
        self.before, self.finished = 0, False
        self.snapshots = Snapshots(run.folder / "snapshots", selector, run.budget)
        tidy(run.folder)
        if self.folder.is_dir() and any(self.folder.iterdir()):
            self._go_on()
        self.spent = self.before

    def _go_on(self) -> None:
        if lost := damaged(self.folder, selector_key(self.run)):
            log.warning("%s is damaged (%s): the selector is trained anew", self.folder, ", ".join(lost))
            return
        progress = json.loads((self.folder / PROGRESS).read_text(encoding="utf-8"))
        self.before = progress["spent"]
        self.finished = progress["finished"] and self.run.budget <= max(progress["budget"], self.before)
        self.selector.load(self.folder)

    def __enter__(self) -> Progress:
        name = printable(self.run.algo)
        self.bar = progress_bar(
            total=self.run.budget,
            initial=self.before,
            unit="unit",
            desc=f"training {name}",
            disable=isinstance(self.selector, Fixed),
        )
        rewind(self.record, self.before)
        self.snapshots.rewind(self.before)
        self.writer = SummaryWriter(str(self.run.folder / "tensorboard"), purge_step=self.before and self.before + 1)
        return self

    def log(self, spent: int, values: Mapping[str, float]) -> None:
        """Take what the selector reports after ``spent`` units of this call."""
        self.spent = self.before + spent
        self.snapshots(self.spent, values)
        self.bar.update(min(self.spent, self.run.budget) - self.bar.n)  # a last episode may cost more than is left
        self.bar.set_postfix({name: f"{values[name]:.3f}" for name in ("gain", "dev_accuracy") if name in values})
        for name, value in values.items():
            self.writer.add_scalar(scalar_name(name), value, self.spent)
        with writing(self.record), self.record.open("a", encoding="utf-8") as record:
            record.write(json.dumps({"spent": self.spent, **values}) + "\n")
        if time.monotonic() - self.saved_at > SAVE_EVERY:
            self.save()

    def save(self, finished: bool = False) -> None:
        """Save the selector with what it cost so far, and whether its training came to the end of its budget."""
        progress = {"spent": self.spent, "finished": finished, "budget": self.run.budget}

        def fill(folder: Path) -> None:
            self.selector.save(folder)
            (folder / PROGRESS).write_text(json.dumps(progress), encoding="utf-8")

        write_folder(self.folder, fill, selector_key(self.run))
        self.saved_at = time.monotonic()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.save(finished=error is None)
        self.writer.close()
        self.bar.close()


def rewind(record: Path, spent: int) -> None:
    """Drop from a record what was logged after ``spent`` units, by a training that was killed and repeats it."""
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines() if spent and record.is_file() else []
    write_text(record, "".join(f"{line}\n" for line in lines if _spent(line) <= spent))


def _spent(line: str) -> float:
    """What a line of the record says; one that is damaged is dropped."""
    try:
        return float(json.loads(line)["spent"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def scalar_name(name: str) -> str:
    """The name under which TensorBoard shows a logged figure: how episodes went comes first, in a group of its own."""
    if name in EPISODE:
        return f"episode/{name}"
    return name if name.startswith("train/") else f"train/{name}"
