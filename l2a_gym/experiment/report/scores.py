"""Rows that can be compared: each selector is paired with uniform on the same task at the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.statistics import Differences
from l2a_gym.experiment.rows import Key, Row
from l2a_gym.experiment.suite import UNIFORM


@dataclass(frozen=True)
class Scored:
    """Rows that can be compared.

    Attributes:
        rows: by task, selector and seed.
        left_out: sentences on tasks whose rows are not among these.
    """

    rows: Mapping[Key, Row]
    left_out: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, by name: a clean one stands before its noisy twin, in whatever order they were done."""
        return tuple(sorted({key.task for key in self.rows}))

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

    def complete(self, *selectors: str) -> tuple[int, ...]:
        """The seeds that all of some selectors have on all tasks, ascending."""
        pairs = [(task, each) for task in self.tasks for each in selectors]
        return tuple(s for s in self.seeds if all(Key(*pair, s) in self.rows for pair in pairs))

    def differences(self, selector: str, reference: str, tasks: Sequence[str], seeds: Sequence[int]) -> Differences:
        """Points of test accuracy (R, T) that a selector is ahead of another at seeds that both have on these tasks."""
        pairs = [
            [[self.rows[Key(task, each, seed)].score for each in (selector, reference)] for task in tasks]
            for seed in seeds
        ]
        scores = np.array(pairs)
        return 100 * (scores[..., 0] - scores[..., 1])


def score_rows(rows: Sequence[Row]) -> Scored:
    """Check that rows can be compared.

    Raises:
        UserError: there are no rows, two of the same task, selector and seed, or rows of different budgets; or no task
            has rows of ``uniform``.
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
    with_uniform = {key.task for key in by_key if key.selector == UNIFORM}
    without = sorted({key.task for key in by_key} - with_uniform)
    left_out = tuple(
        f"{task} is left out: it has no rows of {UNIFORM}, from which gains are counted." for task in without
    )
    if not with_uniform:
        raise UserError(" ".join(left_out))
    return Scored({key: row for key, row in by_key.items() if key.task in with_uniform}, left_out)
