"""The policy that the learning selectors share.

The policy is a linear rule on the candidates' standardised columns z: the weight is clip(p + theta . z / 2, -1, 1),
where the prior p is 1/2 for all, or the weight by a fixed rule. theta = 0 is the prior. With p = 1/2, theta . z < -1
drops a candidate, and theta . z > 1 gives it full weight. One theta serves all candidates, so the rule is permutation
equivariant, and exploring in theta moves all candidates together: independent coin flips would drown in the noise of a
step (design note in ``docs/selectors.md``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l2a_agents.prior import prior_of
from l2a_agents.selector import Action, Configured, Hyperparameters, Observation, Spaces

COLUMNS = (
    "few_shot_label",
    "all_data_label",
    "teacher_confidence",
    "similarity",
    "domain_log_odds",
    "student_loss",
)
"""The columns that a rule looks at: few, so that few episodes are enough to learn it.

``agreement`` is left out: like the reward it comes from the dev labels, and rules that lean on it raise dev alone."""
SUMMED = ("student", "domains")
"""Parts of an observation that a summary holds as they are."""
BOUND = 4.0
"""Largest absolute value of a rule's entry."""


@dataclass(frozen=True)
class RuleConfig(Hyperparameters):
    """Hyper-parameters of selectors that learn one rule."""

    groups: str = ""  # one-hot features whose columns the rule looks at as well, e.g. "domain label"
    prior: str = ""  # the fixed rule whose weights theta moves away from; empty: 1/2 for all


def rule_columns(spaces: Spaces, groups: str) -> tuple[str, ...]:
    """:data:`COLUMNS`, and after them all columns of the one-hot features that ``groups`` names.

    Raises:
        ValueError: a name of no such feature that is shown.
    """
    values: dict[str, list[str]] = {}
    for column in spaces.columns:
        if "=" in column:
            values.setdefault(column.partition("=")[0], []).append(column)
    for name in groups.split():
        if name not in values:
            raise ValueError(f"groups = {groups!r}: valid are names of {', '.join(values) or 'no feature'}")
    return COLUMNS + tuple(column for name in groups.split() for column in values[name])


def positions(spaces: Spaces, columns: Sequence[str] = COLUMNS) -> list[int]:
    """Where a rule's columns stand among the environment's."""
    return [spaces.column(name) for name in columns]


def standardise(columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """Columns (..., N, H) with mean 0 and deviation 1 over the candidates shown; a constant column becomes 0."""
    centred = columns - columns.mean(-2, dtype=np.float64, keepdims=True)
    return centred / np.maximum(centred.std(-2, keepdims=True), 1e-6)


def apply_rule(
    theta: NDArray[np.floating[Any]], observation: Observation, where: list[int], start: Action | float = 0.5
) -> Action:
    """Weights (N,) of all candidates under theta (H,), or (E, N) of E observations, each under its own (E, H).

    Args:
        theta: the rule.
        observation: with the candidates' columns.
        where: the rule's columns among them.
        start: weights (N,) or (E, N) that theta moves away from.
    """
    scores = (standardise(observation["candidates"][..., where]) @ theta[..., None])[..., 0]
    return np.clip(start + scores / 2, -1, 1).astype(np.float32)


def named(theta: NDArray[np.floating[Any]], columns: Sequence[str] = COLUMNS) -> dict[str, float]:
    """A rule's entries by column, as they are logged."""
    return {f"theta/{name}": float(value) for name, value in zip(columns, theta, strict=True)}


def summary(observation: Observation) -> NDArray[np.float32]:
    """What a state looks like whatever the candidates' order: mean and deviation of the columns, student, domains."""
    candidates = observation["candidates"]
    parts = [candidates.mean(0), candidates.std(0), *(observation[name].ravel() for name in SUMMED)]
    return np.concatenate(parts).astype(np.float32)


def summary_space(space: spaces.Dict) -> spaces.Box:
    """The bounds of summaries of an environment's observations, (S,)."""
    boxes: dict[str, Any] = dict(space.spaces)
    low, high = (np.concatenate([getattr(boxes[name], end).ravel() for name in SUMMED]) for end in ("low", "high"))
    columns = boxes["candidates"]
    first, last = columns.low.min(0), columns.high.max(0)
    deviation = (last - first) / 2
    return spaces.Box(
        np.concatenate([first, 0 * deviation, low]), np.concatenate([last, deviation, high]), dtype=np.float32
    )


class StaticRule(Configured):
    """The part of a selector that learns one theta: it acts by it, and keeps it in a JSON file.

    Attributes:
        file: the file's name.
        kept: names of the attributes that are saved beside ``theta``.
        columns: H names of the columns that theta's entries are about.
        prior: the weights that theta moves away from.
    """

    config: RuleConfig
    file: ClassVar[str]
    kept: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.columns = rule_columns(spaces, self.config.groups)
        self.where = positions(spaces, self.columns)
        self.prior = prior_of(spaces, self.config.prior)
        self.theta: NDArray[np.floating[Any]] = np.zeros(len(self.columns))

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The rule's weights."""
        return apply_rule(self.theta, observation, self.where, self.prior(observation))

    def save(self, folder: Path) -> None:
        """Write the file, hyper-parameters among them."""
        state = {"config": asdict(self.config), "columns": self.columns, "theta": self.theta.tolist()}
        state |= {name: getattr(self, name) for name in self.kept}
        (folder / self.file).write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read the file."""
        state = json.loads((folder / self.file).read_text(encoding="utf-8"))
        self.theta = np.array(state["theta"])
        for name in self.kept:
            setattr(self, name, state[name])
