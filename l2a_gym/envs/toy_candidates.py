"""The made-up candidates of ``L2A-Toy-v0``: what they are worth, and what is seen of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from l2a_gym.envs.features import Groups, squash
from l2a_gym.envs.observation import column_bounds

DOMAINS = ("target", "near", "far")
OPERATORS = ("source", "edit")
LABELS = ("negative", "positive")
LABEL_SHARE, NEAR_SHARE = 0.7, 0.3
"""How much of a candidate's usefulness its label has, and how much its nearness to the target; they sum to one."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ToyCandidates:
    """N candidates.

    Attributes:
        usefulness: (N,) in [-1, 1].
        domain: (N,) position in :data:`DOMAINS`.
        operator: (N,) position in :data:`OPERATORS`.
        columns: name -> (N,), whatever can be seen of them.
    """

    usefulness: Floats
    domain: NDArray[np.int64]
    operator: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float32]]

    @property
    def group(self) -> NDArray[np.int64]:
        """(N,) domain x operator of each, domain-major."""
        return self.domain * len(OPERATORS) + self.operator

    def seen(self, names: Sequence[str]) -> NDArray[np.float32]:
        """The named columns, (N, F); 0 where the problem has nothing for a feature."""
        nothing = np.zeros(len(self.usefulness), dtype=np.float32)
        return np.stack([self.columns.get(name, nothing) for name in names], axis=1).clip(*column_bounds(names))

    def by_domain(self, weight: Floats) -> Groups:
        """What the table of domains shows, with the share of the weight that each was given."""
        return self._groups(self.domain, np.full(3, 1 / 3), weight, np.array([0, 0.5, 1]))

    def by_operator(self, weight: Floats) -> Groups:
        """The same of operators."""
        return self._groups(self.operator, np.array([2 / 3, 1 / 3]), weight)

    def _groups(self, group: NDArray[np.int64], size: Floats, weight: Floats, distance: Floats | None = None) -> Groups:
        first, loss, given = np.arange(len(size)) == 0, self.columns["student_loss"], self.columns["few_shot_label"]
        return Groups(first, size, weight, loss, given, partial(_means, group, len(size)), distance)


def draw_candidates(rng: np.random.Generator, n: int, skill: float) -> ToyCandidates:
    """Draw candidates; the same random numbers are drawn whatever the student's skill."""
    domain = rng.integers(len(DOMAINS), size=n)
    operator = (domain == 0).astype(np.int64)  # the target's texts are edited shots, the others' are as they are
    label, few_shot, agrees, similar, close, length, edited = rng.random((7, n))
    near = 0.5 * (1 - domain) + close - 0.5
    label = np.sin(np.pi / 2 * label) ** 2  # Beta(1/2, 1/2), like the probabilities of a teacher that is mostly sure
    label, near = (seen.astype(np.float32).astype(np.float64) for seen in (label, near))  # what is seen is what counts
    u = usefulness(label, near)
    given = ((edited + length) % 1 * len(LABELS)).astype(np.int64)
    few_shot = (label + few_shot) / 2
    student = np.clip((1 + np.clip(skill, -1, 1) * u) / 2, 0.01, 0.99)
    columns = {
        **{f"domain={name}": domain == position for position, name in enumerate(DOMAINS)},
        **{f"operator={name}": operator == position for position, name in enumerate(OPERATORS)},
        **{f"label={name}": given == position for position, name in enumerate(LABELS)},
        "label_share": np.full(n, 1 / len(LABELS)),
        "few_shot_label": few_shot,
        "all_data_label": label,
        "cross_fitted_label": (label + (length + edited) % 1) / 2,
        "plausible": _noisy(u, (edited + agrees) % 1) > 0,
        "teacher_confidence": np.maximum(few_shot, 1 - few_shot),
        "teacher_entropy": _cross_entropy(few_shot, few_shot) / np.log(2),
        "similarity": 0.5 * (1 - domain) + similar - 0.5,
        "domain_log_odds": near,
        "length": length,
        "edit_share": operator * edited,
        "importance": _noisy(u, (agrees + length) % 1),
        "cross_entropy_difference": -_noisy(u, (similar + length) % 1),
        "student_loss": squash(-np.log(student)),
        "student_entropy": _cross_entropy(student, student) / np.log(2),
        "student_confidence": np.maximum(student, 1 - student),
        "kl": squash(_cross_entropy(few_shot, student) - _cross_entropy(few_shot, few_shot)),
        "agreement": _noisy(u, agrees),
        "clean": u > 0,
    }
    return ToyCandidates(u, domain, operator, {name: column.astype(np.float32) for name, column in columns.items()})


def usefulness(label: Floats, near: Floats) -> Floats:
    """u of candidates from ``all_data_label`` and ``domain_log_odds``."""
    worth: Floats = LABEL_SHARE * (2 * label - 1) + NEAR_SHARE * near
    return worth


def _means(group: NDArray[np.int64], groups: int, values: NDArray[np.float32]) -> Floats:
    """Means (groups,) of values (N,) by group; 0 where a group has none."""
    count = np.bincount(group, minlength=groups)
    means: Floats = np.bincount(group, weights=values, minlength=groups) / np.maximum(count, 1)
    return means


def _noisy(u: Floats, noise: Floats) -> Floats:
    """Half u, half noise that is uniform in [-1, 1]."""
    return (u + 2 * noise - 1) / 2


def _cross_entropy(p: Floats, q: Floats) -> Floats:
    """-p ln q - (1 - p) ln(1 - q), with 0 ln 0 = 0."""
    tiny = np.finfo(np.float64).tiny
    result: Floats = -p * np.log(np.maximum(q, tiny)) - (1 - p) * np.log(np.maximum(1 - q, tiny))
    return result
