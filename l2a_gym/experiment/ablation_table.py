"""The table of an ablation: each variant's students, beside the full method's, seed by seed, and beside references."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy import stats

from l2a_gym.experiment.settings import Ablation
from l2a_gym.experiment.variants import FULL, Variant
from l2a_gym.wording import plain

LEVEL = 0.95
"""The level of the intervals."""
OTHERS = ("few-shot teacher", "TF-IDF", "static vectors", "frozen vectors, sources + shots")
"""What students are compared with beside the full method's: a teacher, small references, a large one."""
DIFFERENCES = tuple(f"vs. {name}" for name in (FULL, *OTHERS))
"""The table's columns of differences."""


@dataclass(frozen=True)
class VariantStudent:
    """A variant's final student.

    Attributes:
        variant: the variant's name.
        seed: of the episode that trained it.
        teacher: whose logits taught it; none where only labels did.
        policy: the name of what weighted its candidates.
        parameters: its share of the teacher's parameters.
        test: accuracy on test.
        others: test accuracy of each of :data:`OTHERS`.
        seconds: that its training took.
    """

    variant: str
    seed: int
    teacher: str
    policy: str
    parameters: float
    test: float
    others: Mapping[str, float]
    seconds: float


def effects(students: Sequence[VariantStudent], variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """The table: :func:`effect` of each variant; the first is the full method."""
    by_variant = {each.name: [s for s in students if s.variant == each.name] for each in variants}
    return [effect(each, by_variant[variants[0].name]) for each in by_variant.values()]


def effect(students: Sequence[VariantStudent], full: Sequence[VariantStudent]) -> dict[str, Any]:
    """A variant's row of the table.

    Args:
        students: the variant's n students, n >= 2.
        full: those of the full method, on the same seeds in the same order.

    Returns:
        ``variant``, ``teacher``, ``policy``, ``parameters``, and in shares of 1, not per cent, the mean and
        half of its interval of ``test``, of ``vs. full`` (its difference to full, paired by seed) and of ``vs.`` each
        of :data:`OTHERS`; the half as ``<name> half``.
    """
    pairs = zip(students, full, strict=True)
    columns = {
        "test": [each.test for each in students],
        f"vs. {FULL}": [each.test - other.test for each, other in pairs],
        **{f"vs. {name}": [each.test - each.others[name] for each in students] for name in OTHERS},
    }
    row: dict[str, Any] = {name: getattr(students[0], name) for name in ("variant", "teacher", "policy", "parameters")}
    for name, values in columns.items():
        row[name], row[f"{name} half"] = t_interval(values)
    return row


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean of n >= 2 values, and half of its t-interval at :data:`LEVEL`: t(n - 1) · s / √n."""
    n = len(values)
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    return float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / sqrt(n)


def markdown(plan: Ablation, rows: Sequence[Mapping[str, Any]]) -> str:
    """The table in per cent, and what its intervals are."""
    lines = [
        f"# Ablation of {plain(plan.algo)} on {plain(plan.task)}",
        "",
        f"| {' | '.join(['variant', 'taught by', 'weights by', 'parameters %', 'test %', *DIFFERENCES])} |",
        "|" + "---|" * (5 + len(DIFFERENCES)),
    ]
    for row in rows:
        cells = [plain(row[name]) for name in ("variant", "teacher", "policy")]
        cells += [f"{100 * row['parameters']:.1f}", f"{100 * row['test']:.1f} ± {100 * row['test half']:.1f}"]
        cells += [f"{100 * row[name]:+.1f} ± {100 * row[f'{name} half']:.1f}" for name in DIFFERENCES]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"± is half of a {LEVEL:.0%} t-interval over {plan.students} final students, whose seeds are the same for all "
        "variants; differences are of test accuracies, to full seed by seed. As the exported student does, they learn "
        "from all labels of the target but those of test. Each selector was trained once, and select said once whether "
        "its weights or uniform ones are used: what another training would change is not in the intervals."
    )
    return "\n".join([*lines, "", note, ""])


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as comma-separated values, in shares of 1."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
