"""Whether learning helped in a run, in one sentence: the selector against uniform weights and the best fixed rule."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from scipy import stats

from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.suite import RULES, UNIFORM
from l2a_gym.wording import printable

LEVEL = 0.95
"""Of the intervals."""


def verdict(algo: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The selector against uniform weights and the best fixed rule on dev, by the same final students.

    The best fixed rule is the one with the highest mean return of these very students, which favours it. Intervals are
    of paired differences, by Student's t over students.

    Args:
        algo: name of the run's selector.
        rows: of the selector and of the baselines.

    Returns:
        ``rule``, the name of the best fixed rule; ``against``: uniform and that rule -> ``points`` of dev accuracy that
        the selector is ahead, with ``low`` and ``high``, which are null for a single student; and ``sentence``.
    """
    named = {row.selector: row for row in rows}
    rule = best_rule_of(algo, rows)
    against = {name: _ahead(named[algo], named[name]) for name in dict.fromkeys((UNIFORM, rule)) if name != algo}
    return {"rule": rule, "against": against, "sentence": _sentence(algo, against)}


def best_rule_of(algo: str, rows: Sequence[Row]) -> str:
    """Name of the fixed rule, uniform weights among them, whose students gained most on dev."""
    rules = [row for row in rows if row.selector in (UNIFORM, *RULES) and row.selector != algo]
    return max(rules, key=lambda row: row.episode_return).selector


def _ahead(row: Row, other: Row) -> dict[str, float | None]:
    """Mean of paired differences in dev accuracy, in points, with its interval."""
    own, others = (np.array([_dev_accuracy(each, i) for i in range(len(each.students))]) for each in (row, other))
    differences = 100 * (own - others)
    mean, number = float(differences.mean()), len(differences)
    if number < 2:
        return {"points": mean, "low": None, "high": None}
    half = float(stats.t.ppf((1 + LEVEL) / 2, number - 1) * differences.std(ddof=1) / sqrt(number))
    return {"points": mean, "low": mean - half, "high": mean + half}


def _dev_accuracy(row: Row, student: int) -> float:
    """Of a final student; a made-up one has its score alone."""
    return row.students[student].metrics.get("dev_accuracy", row.students[student].score)


def _sentence(algo: str, against: dict[str, dict[str, float | None]]) -> str:
    facts = ", ".join(f"{_points(each)} against {printable(name)}" for name, each in against.items())
    ahead = [each["low"] is not None and each["low"] > 0 for each in against.values()]
    behind = [each["high"] is not None and each["high"] < 0 for each in against.values()]
    if all(ahead):
        said = "Learning helped"
    elif any(behind):
        said = "Learning did not help"
    elif ahead[0] and UNIFORM in against:
        said = "Learning beats uniform weights, but these students do not show that it beats the best fixed rule"
    else:
        said = "These students do not show that learning helped"
    return f"{said}: {printable(algo)} has on dev {facts}.{'' if all(ahead) else ADVICE}"


ADVICE = " Try a larger --budget, more --students, or the fixed rule itself with --algo."
"""What may help where learning did not."""


def _points(found: dict[str, float | None]) -> str:
    low, high = found["low"], found["high"]
    interval = "" if low is None or high is None else f" [{low:+.1f}, {high:+.1f}]"
    return f"{found['points']:+.1f} points{interval}"
