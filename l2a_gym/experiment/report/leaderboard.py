"""From rows to all numbers of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2a_gym.experiment.report.compared import REFERENCES, Entry, compare
from l2a_gym.experiment.report.details import (
    Cell,
    Choice,
    Classifier,
    Curve,
    Shown,
    cell,
    choice,
    classifiers,
    curve,
    shown,
    warnings,
)
from l2a_gym.experiment.report.scores import Scored, score_rows
from l2a_gym.experiment.report.verdicts import Verdict, controls, verdicts
from l2a_gym.experiment.rows import Key, Row
from l2a_gym.experiment.suite import UNIFORM

SHARES = np.linspace(0, 1, 101)
"""Shares of the budget at which returns are compared."""


@dataclass(frozen=True)
class Leaderboard:
    """Selectors compared on the same tasks at the same budget.

    Attributes:
        tasks: by name.
        seeds: all, ascending.
        budget: units that each training was given.
        keys: of all rows.
        entries: the selectors that share at least one seed with uniform on all tasks, the best first.
        level: uniform's accuracy, mean over tasks of means over the seeds that it has on all; nan where there is none.
        cells: selector -> task -> its score, at all the seeds that it has there; the best selector first.
        teacher: task -> accuracy of the all-data teacher.
        classifiers: task -> name -> figures of each teacher, then of each reference; only tasks whose rows have them.
        shares: (G,) shares of the budget.
        curves: selector -> (G,) mean return that it had reached; nan before its first report.
        choices: task -> selector -> what it gave its weight to.
        examples: task -> texts that the best learner was shown; only tasks whose rows have them.
        verdicts: of each learner against what it has to beat.
        controls: sentences on the controls and the bound.
        warnings: what makes the rows less comparable.
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    keys: frozenset[Key]
    entries: tuple[Entry, ...]
    level: float
    cells: Mapping[str, Mapping[str, Cell]]
    teacher: Mapping[str, float]
    classifiers: Mapping[str, Mapping[str, Classifier]]
    shares: Curve
    curves: Mapping[str, Curve]
    choices: Mapping[str, Mapping[str, Choice]]
    examples: Mapping[str, Shown]
    verdicts: tuple[Verdict, ...]
    controls: tuple[str, ...]
    warnings: tuple[str, ...]


def leaderboard(rows: Sequence[Row]) -> Leaderboard:
    """All that a report shows of rows; the same rows give the same numbers.

    Raises:
        UserError: rows that can't be compared; see :func:`~l2a_gym.experiment.report.scores.score_rows`.
    """
    scored = score_rows(rows)
    tasks, found = scored.tasks, compare(scored)
    ranked = [each.selector for each in found]
    everyone = [*ranked, *(name for name in scored.selectors if name not in ranked)]
    learners = [each.selector for each in found if each.kind == "learner" and each.selector not in REFERENCES]
    on_task = {task: [row for row in scored.rows.values() if row.task == task] for task in tasks}
    return Leaderboard(
        tasks=tasks,
        seeds=scored.seeds,
        budget=rows[0].budget,
        keys=frozenset(scored.rows),
        entries=tuple(found),
        level=_level(scored),
        cells={name: {t: part for t in tasks if (part := cell(scored, name, t))} for name in everyone},
        teacher={task: float(np.mean([row.reference_score for row in rows])) for task, rows in on_task.items()},
        classifiers={task: known for task, rows in on_task.items() if (known := classifiers(rows))},
        shares=SHARES,
        curves={name: curve(scored, name, SHARES) for name in ranked},
        choices={t: {n: choice(own) for n in everyone if (own := scored.rows_of(n, t))} for t in tasks},
        examples={task: each for task in tasks if learners and (each := shown(scored.rows_of(learners[0], task)))},
        verdicts=tuple(verdicts(found, len(tasks))),
        controls=tuple(controls(found)),
        warnings=(*scored.left_out, *warnings(list(scored.rows.values()))),
    )


def _level(scored: Scored) -> float:
    scores = [scored.rows[Key(task, UNIFORM, s)].score for s in scored.complete(UNIFORM) for task in scored.tasks]
    return float(np.mean(scores)) if scores else float("nan")
