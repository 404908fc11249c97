"""From rows to normalised scores: 0 is a student without candidates, 1 the all-data teacher, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.statistics import Scores
from l2a_gym.experiment.rows import Key, Row

FLOOR = "none"
"""The selector whose mean score on a task counts as 0."""


@dataclass(frozen=True)
class Scored:
    """Rows that can be compared.

    Attributes:
        rows: by task, selector and seed.
        floor: task -> mean score of the selector ``none``.
        left_out: sentences on tasks that have no scale, whose rows are not among these.
    """

    rows: Mapping[Key, Row]
    floor: Mapping[str, float]
    left_out: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, by name: a clean one stands before its noisy twin, in whatever order they were done."""
        return tuple(self.floor)

    @property
    def selectors(self) -> tuple[str, ...]:
        """All selectors, in the order of the rows."""
        return tuple(dict.fromkeys(key.selector for key in self.rows))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds, ascending."""
        return tuple(sorted({key.seed for key in self.rows}))

    def rows_of(self, selector: str, task: str) -> list[Row]:
        """A selector's rows on a task, by seed."""
        keys = (Key(task, selector, seed) for seed in self.seeds)
        return [self.rows[key] for key in keys if key in self.rows]

    def complete(self, selector: str) -> tuple[int, ...]:
        """The seeds that a selector has on all tasks, ascending."""
        return tuple(s for s in self.seeds if all(Key(task, selector, s) in self.rows for task in self.tasks))

    def missing(self) -> list[Key]:
        """What some selector lacks of all tasks and seeds."""
        keys = [Key(task, each, seed) for each in self.selectors for task in self.tasks for seed in self.seeds]
        return [key for key in keys if key not in self.rows]

    def matrix(self, selector: str, seeds: Sequence[int]) -> Scores:
        """Normalised scores (R, T) of a selector at seeds that it has on all tasks."""
        return np.array([[self.normalised(Key(task, selector, seed)) for task in self.tasks] for seed in seeds])

    def normalised(self, key: Key) -> float:
        """A row's score where ``none`` has 0 and its reference score is 1."""
        row, floor = self.rows[key], self.floor[key.task]
        return (row.score - floor) / (row.reference_score - floor)


def score_rows(rows: Sequence[Row]) -> Scored:
    """Check that rows can be compared, and find where each task's scale begins.

    Raises:
        UserError: there are no rows, two of the same task, selector and seed, or rows of different budgets; or no task
            has rows of ``none`` that are below the all-data teacher.
    """
    if not rows:
        raise UserError("there are no rows to report: run l2a benchmark first")
    if len(budgets := {row.budget for row in rows}) > 1:
        raise UserError(
            f"rows have different budgets ({', '.join(map(str, sorted(budgets)))}): give those of one budget"
        )
    by_key: dict[Key, Row] = {}
    for row in rows:
        if row.key in by_key:
            raise UserError(f"{row.selector} on {row.task}, seed {row.seed}, stands in two rows: give one of them")
        by_key[row.key] = row
    left_out = {task: why for task in sorted({row.task for row in rows}) if (why := _no_scale(task, rows))}
    kept = {key: row for key, row in by_key.items() if key.task not in left_out}
    if not kept:
        raise UserError(" ".join(left_out.values()))
    floor = {task: _floor(task, rows) for task in sorted({key.task for key in kept})}
    return Scored(kept, floor, tuple(left_out.values()))


def _floor(task: str, rows: Sequence[Row]) -> float:
    return float(np.mean([row.score for row in rows if (row.task, row.selector) == (task, FLOOR)]))


def _no_scale(task: str, rows: Sequence[Row]) -> str:
    """Why a task's scores can't be normalised; empty where they can."""
    if not any((row.task, row.selector) == (task, FLOOR) for row in rows):
        return f"{task} is left out: it has no rows of {FLOOR}, where its scale begins."
    floor, top = _floor(task, rows), min(row.reference_score for row in rows if row.task == task)
    if floor >= top:
        return f"{task} is left out: {FLOOR} has {floor:.1%} there, the all-data teacher {top:.1%}."
    return ""
