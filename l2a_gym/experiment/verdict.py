"""Whether learning helped in a run, in a few words: the selector against uniform weights and the best fixed rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    of paired differences, by Student's t over students: they know nothing of other trainings or other texts. What the
    selector was trained for is dev, so test is said as well.

    Args:
        algo: name of the run's selector, which was trained.
        rows: of the selector and of the baselines.

    Returns:
        ``rule``, the name of the best fixed rule; ``against``: uniform and that rule -> ``points`` of dev accuracy that
        the selector is ahead, with ``low`` and ``high``, which are null for a single student; ``test``: uniform -> the
        same of test accuracy, empty on the toy; and ``sentence``, which may be several.
    """
    named = {row.selector: row for row in rows}
    rule, own, uniform = best_rule_of(algo, rows), named[algo], named[UNIFORM]
    against = {name: _ahead(own, named[name], "dev") for name in dict.fromkeys((UNIFORM, rule))}
    real = all(each.metrics for each in own.students)
    test = {UNIFORM: _ahead(own, uniform, "test")} if real else {}
    return {"rule": rule, "against": against, "test": test, "sentence": _sentence(algo, rule, against, test)}


def best_rule_of(algo: str, rows: Sequence[Row]) -> str:
    """Name of the fixed rule, uniform weights among them, whose students gained most on dev."""
    rules = [row for row in rows if row.selector in (UNIFORM, *RULES) and row.selector != algo]
    return max(rules, key=lambda row: row.episode_return).selector


def _ahead(row: Row, other: Row, split: str) -> dict[str, float | None]:
    """Mean of paired differences in accuracy, in points, with its interval."""
    differences = 100 * np.subtract(row.accuracies(split), other.accuracies(split))
    mean, number = float(differences.mean()), len(differences)
    if number < 2:
        return {"points": mean, "low": None, "high": None}
    half = float(stats.t.ppf((1 + LEVEL) / 2, number - 1) * differences.std(ddof=1) / sqrt(number))
    return {"points": mean, "low": mean - half, "high": mean + half}


Found = Mapping[str, Mapping[str, float | None]]


def _sentence(algo: str, rule: str, against: Found, test: Found) -> str:
    """What was gained over uniform weights, then over the best rule, and what to do where that is not shown."""
    uniform, best = against[UNIFORM], against[rule]
    points, level = float(uniform["points"] or 0), f"{LEVEL:.0%}".replace("%", " %")
    than = f"{'more' if points >= 0 else 'fewer'} of the dev texts than students that learn from all texts alike"
    first = (
        f"{CHOOSING[_state(uniform)]}: {printable(algo)}'s students are right on {abs(points):.1f} points {than} "
        f"({UNIFORM}{_interval(uniform, f'; {level} interval ')})."
        + "".join(f" On test: {each['points']:+.1f} points{_interval(each, ' (')}." for each in test.values())
    )
    fixed = f"the best fixed rule ({rule})"
    state, margin = _state(best), f"{best['points']:+.1f} points{_interval(best, ' (')}"
    if rule == UNIFORM:
        second = "No fixed rule does better than that."
    elif state == "open":
        second = f"That they are ahead of {fixed} is not shown: {margin}."
    else:
        second = f"They are {state} {'of ' * (state == 'ahead')}{fixed}: {margin}."
    return " ".join(filter(None, [first, second, ADVICE[state].format(rule)]))


CHOOSING = {
    "ahead": "Choosing texts helped",
    "behind": "Choosing texts did harm",
    "open": "That choosing texts helps is not shown",
}
"""How the students stand to those under uniform weights -> what that says."""
ADVICE = {
    "ahead": "",
    "behind": "Use the rule, --algo {}, or try a larger --budget.",
    "open": "More --students would narrow this; or use the rule: --algo {}.",
}
"""How they stand to those under the best fixed rule -> what to do."""


def _state(found: Mapping[str, float | None]) -> str:
    """``ahead`` or ``behind`` where the interval shows it; else ``open``, as it is for a single student."""
    low, high = found["low"], found["high"]
    if low is None or high is None:
        return "open"
    return "ahead" if low > 0 else "behind" if high < 0 else "open"


def _interval(found: Mapping[str, float | None], before: str) -> str:
    """``-3.1 to +6.2`` behind some words, with the bracket closed that they open; nothing for a single student."""
    if found["low"] is None:
        return ""
    return f"{before}{found['low']:+.1f} to {found['high']:+.1f}{')' * before.count('(')}"
