"""What an agent sees: columns of the candidates, of the student and of the domains, and their ranges.

``docs/environment.md`` holds the same table; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l2a_gym.errors import UserError, unknown


@dataclass(frozen=True)
class Feature:
    """One feature of a candidate: its name, its range and its formula."""

    name: str
    low: float
    high: float
    formula: str


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("domain", 0, 1, "one column a domain: 1 for the candidate's own"),
        Feature("operator", 0, 1, "one column an operator: 1 for the one that made it"),
        Feature("few_shot_label", 0, 1, "few-shot teacher's probability of the given label"),
        Feature("all_data_label", 0, 1, "all-data teacher's probability of the given label"),
        Feature("teacher_confidence", 0, 1, "largest probability of the teacher that teaches"),
        Feature("teacher_entropy", 0, 1, "entropy of its probabilities / ln C"),
        Feature("similarity", -1, 1, "cosine of the sentence vector and the target's mean, both less the pool's mean"),
        Feature("domain_log_odds", -1, 1, "tanh(x / 4), x the log-odds target : sources of a logistic regression"),
        Feature("length", 0, 1, "tokens / largest number of tokens"),
        Feature("edit_share", 0, 1, "share of words changed from its parent"),
        Feature("importance", -1, 1, "x / (1 + |x|), x the mean of ln(p / q) over its n-grams"),
        Feature("cross_entropy_difference", -1, 1, "x / (1 + |x|), x = cross-entropy by the shots - by the pool"),
        Feature("student_loss", 0, 1, "x / (1 + x), x the student's cross-entropy with the given label"),
        Feature("student_entropy", 0, 1, "entropy of the student's probabilities / ln C"),
        Feature("student_confidence", 0, 1, "largest probability of the student"),
        Feature("kl", 0, 1, "x / (1 + x), x = KL(teacher || student)"),
        Feature("agreement", -1, 1, "cosine of its and the dev set's cross-entropy gradient at the last layer"),
        Feature("clean", 0, 1, "1 where the given label was not flipped on purpose; for the oracle control only"),
    )
}
"""Every feature that a candidate can have, in the order of the columns."""
DYNAMIC = ("student_loss", "student_entropy", "student_confidence", "kl", "agreement")
"""Features that the student's learning changes."""
ON_REQUEST = ("importance", "cross_entropy_difference", "clean")
"""Features that are shown only where they are named: two that take a pass over all texts, and the oracle's."""
DEFAULT_FEATURES = tuple(name for name in FEATURES if name not in ON_REQUEST)

STUDENT = {
    "dev_nll": (0, 1, "x / (1 + x), x the dev negative log-likelihood"),
    "dev_accuracy": (0, 1, "dev accuracy"),
    "dev_macro_f1": (0, 1, "dev macro F1"),
    "trend": (-1, 1, "the metric's gain in the last step, cut at 1"),
    "train_loss": (0, 1, "x / (1 + x), x the mean training loss of the last step"),
    "progress": (0, 1, "t / T"),
    "updates_left": (0, 1, "x / (1 + x), x the student updates left in the episode / 100"),
}
"""Columns of the student: low, high, formula."""
DOMAIN = {
    "is_target": (0, 1, "1 for the target"),
    "size": (0, 1, "share of the pool's candidates"),
    "distance": (0, 2, "1 - cosine of its and the target's mean sentence vector"),
    "selected": (0, 1, "share of all weight given to it so far in the episode"),
    "student_loss": (0, 1, "mean of student_loss over its candidates now shown; 0 without any"),
}
"""Columns of a domain: low, high, formula."""
OPERATOR = {
    "is_source": (0, 1, "1 for the source texts as they are"),
    "made": (0, 1, "share of the pool's candidates that it made"),
    "chosen": (0, 1, "share of all weight given to it so far in the episode"),
    "mean_loss": (0, 1, "mean of student_loss over its candidates now shown; 0 without any"),
    "label_kept": (0, 1, "mean over these of the teacher's probability of the given label; 0 without any"),
}
"""Columns of an operator: low, high, formula."""


def check_features(names: Sequence[str] | None) -> tuple[str, ...]:
    """The named features in the table's order; for None all but those on request.

    Raises:
        UserError: unknown name, or none at all.
    """
    if names is None:
        return DEFAULT_FEATURES
    if not names:
        raise UserError(f"features = []: valid are one or more of {', '.join(FEATURES)}")
    for name in names:
        if name not in FEATURES:
            raise unknown("feature", name, FEATURES)
    return tuple(name for name in FEATURES if name in names)


def candidate_columns(features: Sequence[str], domains: Sequence[str], operators: Sequence[str]) -> tuple[str, ...]:
    """The names of the candidates' columns: one-hot features have one column for each of their values."""
    values = {"domain": domains, "operator": operators}
    return tuple(
        column
        for name in features
        for column in ([f"{name}={value}" for value in values[name]] if name in values else [name])
    )


def column_bounds(columns: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Look up the lowest and the highest value of each of the candidates' columns."""
    features = [FEATURES[column.split("=")[0]] for column in columns]
    low, high = ([getattr(feature, side) for feature in features] for side in ("low", "high"))
    return np.array(low, dtype=np.float32), np.array(high, dtype=np.float32)


def observation_space(candidates: int, columns: Sequence[str], domains: int, operators: int) -> spaces.Dict:
    """``candidates`` (N, F), ``student`` (S,), ``domains`` (D, 5) and ``operators`` (O, 5), all float32."""
    low, high = column_bounds(columns)
    return spaces.Dict(
        {
            "candidates": _box(np.tile(low, (candidates, 1)), np.tile(high, (candidates, 1))),
            "student": _box([row[0] for row in STUDENT.values()], [row[1] for row in STUDENT.values()]),
            "domains": _table(DOMAIN, domains),
            "operators": _table(OPERATOR, operators),
        }
    )


def _table(columns: Mapping[str, tuple[float, float, str]], rows: int) -> spaces.Box:
    low, high = ([row[side] for row in columns.values()] for side in (0, 1))
    return _box(np.tile(low, (rows, 1)), np.tile(high, (rows, 1)))


def _box(low: object, high: object) -> spaces.Box:
    return spaces.Box(np.array(low, dtype=np.float32), np.array(high, dtype=np.float32), dtype=np.float32)
