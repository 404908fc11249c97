"""What lies beneath a benchmark's averages: task by task, while training went on, and over the steps of an episode."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from l2a_gym.experiment.report.scores import Scored
from l2a_gym.experiment.report.statistics import anytime, standard_error
from l2a_gym.experiment.report.wording import at_seeds, listed
from l2a_gym.experiment.rows import ClassifierFigures, Example, Key, Row
from l2a_gym.experiment.suite import UNIFORM

TOLERANCE = 1.1
"""Times the budget that a training may spend: its last episode is played to the end."""

WRONG = "wrong label"
"""The key of a :class:`Choice`'s labels."""
Curve = NDArray[np.float64]
Shares = Mapping[str, list[float]]
"""Name -> share of all weight by the end of each step (T,)."""


@dataclass(frozen=True)
class Cell:
    """A selector on a task.

    Attributes:
        accuracy: mean over its seeds, in [0, 1].
        gain: points more than uniform, mean over the seeds that both have; nan where there is none, and for uniform.
        half: half the width of the gain's 95 % t-interval; nan for a single seed.
    """

    accuracy: float
    gain: float
    half: float


@dataclass(frozen=True)
class Choice:
    """What a selector gave its weight to on a task, mean over seeds.

    Attributes:
        labels: to wrong ones; empty where no label is known to be wrong.
        domains: by domain.
        operators: by operator.
    """

    labels: Shares
    domains: Shares
    operators: Shares


@dataclass(frozen=True)
class Shown:
    """Texts that a selector was shown on a task, and the run that they are of."""

    selector: str
    seed: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Classifier:
    """A teacher or a reference on a task; of preparations that differ, the mean of both accuracy and error.

    Attributes:
        accuracy: on test, in [0, 1].
        error: its standard error.
        labels: labelled texts of the target, once for each number that occurs.
        parameters: the same.
    """

    accuracy: float
    error: float
    labels: tuple[int, ...]
    parameters: tuple[int, ...]


def cell(scored: Scored, selector: str, task: str) -> Cell | None:
    """Accuracy of one selector on one task, with its gain; None where it has no row."""
    if not (rows := scored.rows_of(selector, task)):
        return None
    paired = [row.seed for row in rows if Key(task, UNIFORM, row.seed) in scored.rows and selector != UNIFORM]
    gain, half, n = np.nan, np.nan, len(paired)
    if n:
        gains = scored.differences(selector, UNIFORM, [task], paired)
        gain = float(gains.mean())
        half = float(stats.t.ppf(0.975, n - 1) * gains.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return Cell(float(np.mean([row.score for row in rows])), gain, half)


def classifiers(rows: Sequence[Row]) -> dict[str, Classifier]:
    """Name -> figures of the teachers and references that rows of one task have, in the order of the rows."""
    names = dict.fromkeys(name for row in rows for name in row.classifiers)
    return {name: _classifier([row.classifiers[name] for row in rows if name in row.classifiers]) for name in names}


def _classifier(found: Sequence[ClassifierFigures]) -> Classifier:
    return Classifier(
        accuracy=float(np.mean([each.test_accuracy for each in found])),
        error=float(np.mean([standard_error(each.test_accuracy, each.texts) for each in found])),
        labels=tuple(dict.fromkeys(each.labels for each in found)),
        parameters=tuple(dict.fromkeys(each.parameters for each in found)),
    )


def curve(scored: Scored, selector: str, shares: Curve) -> Curve:
    """Mean return that a selector had reached at shares of the budget: over the seeds compared, then over tasks.

    nan before all its runs have reported. What training spent beyond the budget counts as the whole budget.
    """
    seeds = scored.complete(selector, UNIFORM)
    by_task = []
    for task in scored.tasks:
        rows = [row for row in scored.rows_of(selector, task) if row.seed in seeds]
        spent = [np.array([min(1.0, point.spent / row.budget) for point in row.curve]) for row in rows]
        values = [np.array([point.episode_return for point in row.curve]) for row in rows]
        by_task.append(anytime(spent, values, shares).mean(axis=0))
    return np.mean(by_task, axis=0)


def choice(rows: Sequence[Row]) -> Choice:
    """What one selector chose on one task, mean over its rows."""
    gave = [row for row in rows if any(share[-1] for share in row.domain_share.values())]
    labels = [{WRONG: row.wrong_share} for row in gave if row.wrong_share]
    return Choice(_mean(labels), _mean([row.domain_share for row in rows]), _mean([row.operator_share for row in rows]))


def shown(rows: Sequence[Row]) -> Shown | None:
    """The examples of the first of some rows that has any."""
    return next((Shown(row.selector, row.seed, row.examples) for row in rows if row.examples), None)


def _mean(shares: Sequence[Shares]) -> Shares:
    """Mean of each name's shares; steps that not all have are left out."""
    names = dict.fromkeys(name for each in shares for name in each)
    return {name: _mean_of([each[name] for each in shares if name in each]) for name in names}


def _mean_of(lists: Sequence[list[float]]) -> list[float]:
    steps = min(map(len, lists))
    means: list[float] = np.mean([each[:steps] for each in lists], axis=0).tolist()
    return means


def warnings(rows: Sequence[Row]) -> list[str]:
    """What makes rows less comparable: budgets that were not kept; other students, settings or data."""
    found = []
    for selector in dict.fromkeys(row.selector for row in rows):
        over = [row for row in rows if row.selector == selector and row.spent > TOLERANCE * row.budget]
        if over:
            most = max(row.spent for row in over)
            found.append(f"{selector} spent up to {most:,} of {over[0].budget:,} units (rows: {len(over)}).")
    if len(numbers := sorted({len(row.students) for row in rows})) > 1:
        found.append(f"rows have {listed(numbers)} final students.")
    if len(settings := {json.dumps(dict(row.settings), sort_keys=True) for row in rows}) > 1:
        found.append(f"rows were made with different settings: {listed(sorted(settings))}.")
    return found + _prepared_apart(rows)


def _prepared_apart(rows: Sequence[Row]) -> list[str]:
    """Sentences on tasks that were prepared in several ways, at which seeds, and what that does to pairs of rows."""
    tasks: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for task in dict.fromkeys(row.task for row in rows):
        ways: dict[str, set[int]] = {}
        for row in sorted((row for row in rows if row.task == task), key=lambda row: row.seed):
            ways.setdefault(row.prepared, set()).add(row.seed)
        tasks.setdefault(tuple(tuple(sorted(seeds)) for seeds in ways.values()), []).append(task)
    found = []
    for seeds, names in ((seeds, names) for seeds, names in tasks.items() if len(seeds) > 1):
        shared = len(set().union(*seeds)) < sum(map(len, seeds))
        effect = "are of different data" if shared else "are of the same data, levels at different seeds are not"
        were = "was" if len(names) == 1 else "were"
        at = "; ".join(map(at_seeds, seeds))
        found.append(f"{listed(names)} {were} prepared in different ways ({at}): pairs at one seed {effect}.")
    return found
