"""From rows to all numbers of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2a_gym.experiment.report.compared import Entry, compare
from l2a_gym.experiment.report.details import (
    Cell,
    Choice,
    Classifier,
    Curve,
    cell,
    choice,
    classifiers,
    curve,
    warnings,
)
from l2a_gym.experiment.report.scores import Scored, score_rows
from l2a_gym.experiment.report.statistics import performance_profile
from l2a_gym.experiment.report.verdicts import Verdict, controls, verdicts
from l2a_gym.experiment.report.wording import at_seeds, count, listed
from l2a_gym.experiment.rows import Key, Row

SHARES = np.linspace(0, 1, 101)
"""Shares of the budget at which returns are compared."""


@dataclass(frozen=True)
class Leaderboard:
    """Selectors compared on the same tasks at the same budget.

    Scores of single tasks are accuracies in [0, 1]; all others are normalised: 0 for ``none``, 1 for the all-data
    teacher.

    Attributes:
        tasks: by name.
        seeds: all, ascending.
        budget: units that each training was given.
        rows: their number.
        entries: the selectors that have at least one seed on all tasks, the best first.
        incomplete: sentences on selectors that lack rows; those without a seed on all tasks are in no comparison.
        cells: selector -> task -> its mean score, at all the seeds that it has there; the best selector first.
        teacher: task -> score of the all-data teacher.
        classifiers: task -> name -> figures of each teacher, then of each reference; only tasks whose rows have them.
        thresholds: (K,) normalised scores.
        profiles: selector -> (K,) share of its runs that score above each threshold.
        shares: (G,) shares of the budget.
        curves: selector -> (G,) mean return that it had reached; nan before its first report.
        choices: task -> selector -> what it gave its weight to.
        verdicts: of each learner against what it has to beat.
        controls: sentences on the controls and the bound.
        warnings: what makes the rows less comparable.
        missing: rows that some selector lacks.
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    rows: int
    entries: tuple[Entry, ...]
    incomplete: tuple[str, ...]
    cells: Mapping[str, Mapping[str, Cell]]
    teacher: Mapping[str, float]
    classifiers: Mapping[str, Mapping[str, Classifier]]
    thresholds: Curve
    profiles: Mapping[str, Curve]
    shares: Curve
    curves: Mapping[str, Curve]
    choices: Mapping[str, Mapping[str, Choice]]
    verdicts: tuple[Verdict, ...]
    controls: tuple[str, ...]
    warnings: tuple[str, ...]
    missing: tuple[Key, ...]


def leaderboard(rows: Sequence[Row]) -> Leaderboard:
    """All that a report shows of rows; the same rows give the same numbers.

    Raises:
        UserError: rows that can't be compared; see :func:`~l2a_gym.experiment.report.scores.score_rows`.
    """
    scored = score_rows(rows)
    found = compare(scored)
    ranked = [each.selector for each in found]
    everyone = [*ranked, *(name for name in scored.selectors if name not in ranked)]
    thresholds = _thresholds(scored, ranked)
    on_task = {task: [row for row in scored.rows.values() if row.task == task] for task in scored.tasks}
    return Leaderboard(
        tasks=scored.tasks,
        seeds=scored.seeds,
        budget=rows[0].budget,
        rows=len(scored.rows),
        entries=tuple(found),
        incomplete=tuple(_incomplete(scored, everyone)),
        cells={name: {t: cell(part) for t in scored.tasks if (part := scored.rows_of(name, t))} for name in everyone},
        teacher={task: float(np.mean([row.reference_score for row in rows])) for task, rows in on_task.items()},
        classifiers={task: shown for task, rows in on_task.items() if (shown := classifiers(rows))},
        thresholds=thresholds,
        profiles={each.selector: performance_profile(_matrix(scored, each.selector), thresholds) for each in found},
        shares=SHARES,
        curves={name: curve(scored, name, SHARES) for name in ranked},
        choices={t: {n: choice(part) for n in everyone if (part := scored.rows_of(n, t))} for t in scored.tasks},
        verdicts=tuple(verdicts(found, len(scored.tasks))),
        controls=tuple(controls(found)),
        warnings=(*scored.left_out, *warnings(list(scored.rows.values()))),
        missing=tuple(scored.missing()),
    )


def _matrix(scored: Scored, selector: str) -> Curve:
    return scored.matrix(selector, scored.complete(selector))


def _thresholds(scored: Scored, selectors: Sequence[str]) -> Curve:
    """Steps of 0.02 over all normalised scores, and over 0 to 1 at least."""
    scores = np.concatenate([[0.0, 1.0], *(_matrix(scored, each).ravel() for each in selectors)])
    low, high = np.floor(10 * scores.min()) / 10, np.ceil(10 * scores.max()) / 10
    return np.linspace(low, high, round((high - low) / 0.02) + 1)


def _incomplete(scored: Scored, selectors: Sequence[str]) -> list[str]:
    """Sentences on selectors that lack rows: those that have the same seeds share one."""
    seeds = {name: scored.complete(name) for name in selectors}
    said = []
    for some in dict.fromkeys(each for each in seeds.values() if each and each != scored.seeds):
        names = [name for name in selectors if seeds[name] == some]
        are = "is" if len(names) == 1 else "are"
        said.append(
            f"{listed(names)} {are} compared at {count(len(some), 'seed')} ({listed(some)}) of {len(scored.seeds)}."
        )
    return said + [_uncompared(scored, name) for name in selectors if not seeds[name]]


def _uncompared(scored: Scored, selector: str) -> str:
    has = [
        f"{task} ({at_seeds(row.seed for row in part)})"
        for task in scored.tasks
        if (part := scored.rows_of(selector, task))
    ]
    tasks = count(len(scored.tasks), "task")
    return f"{selector} has no seed on all {tasks} and is in no comparison; it has {listed(has)}."
