"""What to know of a task's data before anything is learnt from them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from l2a_gym.distill.checkpoint import load_tokenizer
from l2a_gym.distill.coverage import Coverage, coverage
from l2a_gym.preparation.texts import splits
from l2a_gym.tasks.task import UNLABELLED, Task, Texts, part_name

log = logging.getLogger(__name__)

LARGE_ERROR, MANY_UNKNOWN = 0.05, 0.05
"""A warning is due above this standard error of an accuracy, and above this share of unknown pieces."""
SHOWN = 60
"""Characters of a text that are shown of it."""


@dataclass(frozen=True)
class DataReport:
    """A task's data in numbers.

    Attributes:
        table: by domain, texts of each class as they came, duplicates, and how the tokenizer reads what is used; by
            split, its size and the largest standard error of an accuracy on it.
        warnings: sentences about what makes results worth little.
    """

    table: str
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([self.table, *(f"warning: {warning}" for warning in self.warnings)])

    def to_log(self) -> None:
        """Write the report to the log."""
        for line in self.table.splitlines():  # one call a line: a line break within a message would be escaped
            log.info("%s", line)
        for warning in self.warnings:
            log.warning("%s", warning)


def data_report(task: Task, checkpoint: str) -> DataReport:
    """Look at a task's texts, as the tokenizer of a checkpoint reads them.

    Raises:
        UserError: the checkpoint can't be had.
    """
    tokenizer = load_tokenizer(checkpoint)
    used: dict[str, list[Texts]] = {task.target: [], **{name: [texts] for name, texts in task.sources.items()}}
    for split, texts in {**splits(task), "unlabelled": task.unlabelled}.items():
        part = part_name(task.target, split)
        used.setdefault(part if part in task.found else task.target, []).append(texts)
    read = {name: coverage(tokenizer, texts) for name, texts in used.items()}
    warnings = (*_contradictions(task), *_small_splits(task), *_unknown(read, checkpoint))
    return DataReport("\n".join(_table(task, read)), warnings)


def largest_error(texts: int) -> float:
    """The standard error of an accuracy on this many texts, where it is largest: at one half."""
    return sqrt(0.25 / texts)


def _table(task: Task, read: Mapping[str, Coverage]) -> Iterator[str]:
    found = task.found
    count = [np.bincount(each.label[each.label != UNLABELLED], minlength=len(task.labels)) for each in found.values()]
    grouped = ["group held out, left out", *(f"{each.grouped:,}" for each in found.values())]
    yield f"data of {task.id}"
    yield from _aligned(
        [
            ["texts", *found],
            *(["  " + label, *(f"{each[code]:,}" for each in count)] for code, label in enumerate(task.labels)),
            ["  in all", *(f"{len(each.label):,}" for each in found.values())],
            ["seen before, left out", *(f"{each.repeated:,}" for each in found.values())],
            ["  with another label", *(f"{len(each.contradicting):,}" for each in found.values())],
            *([grouped] if any(each.grouped for each in found.values()) else []),
            ["unknown pieces", *(f"{read[name].unknown:.1%}" for name in found)],
            [f"longer than {task.max_length} tokens", *(f"{read[name].cut(task.max_length):.1%}" for name in found)],
            ["tokens of the longest", *(f"{read[name].longest:,}" for name in found)],
        ]
    )
    sizes = _sizes(task)
    errors = ["", *(f"{100 * largest_error(size):.1f}" for name, size in sizes.items() if name != "train")]
    yield from _aligned(
        [
            [f"split of {task.target}", *sizes],
            ["  texts", *(f"{size:,}" for size in sizes.values())],
            ["  standard error of accuracy, at most, in points", *errors],
        ]
    )


def _sizes(task: Task) -> dict[str, int]:
    """The number of texts in each split; ``select`` is left out where it is ``dev``."""
    return {name: len(texts) for name, texts in splits(task).items() if len(texts)}


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def _contradictions(task: Task) -> Iterator[str]:
    for name, found in task.found.items():
        if found.contradicting:
            example = found.contradicting[0]
            yield (
                f"{name}: {len(found.contradicting)} texts are left out that stand in the data before with another "
                f"label, like {example[:SHOWN]!r}"
            )


def _small_splits(task: Task) -> Iterator[str]:
    measured = {name: size for name, size in _sizes(task).items() if name != "train"}
    if small := {name: size for name, size in measured.items() if largest_error(size) > LARGE_ERROR}:
        sizes = ", ".join(f"{name} has {n} texts (± {100 * largest_error(n):.0f} points)" for name, n in small.items())
        yield (
            f"{task.target} is too small to tell students apart by accuracy, whose standard error is large: {sizes}; "
            "label more of its texts, or take fewer shots"
        )


def _unknown(read: Mapping[str, Coverage], checkpoint: str) -> Iterator[str]:
    if high := {name: each.unknown for name, each in read.items() if each.unknown > MANY_UNKNOWN}:
        shares = ", ".join(f"{share:.0%} of {name}" for name, share in high.items())
        yield (
            f"the vocabulary of {checkpoint!r} can't spell the words of these texts (unknown pieces: {shares}): choose "
            "a checkpoint that was trained in their language"
        )
