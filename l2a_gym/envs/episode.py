"""What changes within an episode, besides the student and the random stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.envs.reward import Scores


@dataclass
class Episode:
    """The mutable part of an episode.

    Attributes:
        rows: (N,) the candidates shown.
        anchors: rows of the shots that join the next step.
        scores: of the student on the dev split.
        curve: the metric before the first step and after each, more is better.
        weight: (G,) weight given to each domain x operator so far.
        shown: (G,) candidates of each that were offered so far.
        t: steps taken.
        train_loss: mean loss of the last step.
        selected: share of the candidates chosen in the last step.
        updates: student updates so far.
        dev_passes: passes over dev so far.
        diverged: whether the student's loss was not finite.
    """

    rows: NDArray[np.int64]
    anchors: NDArray[np.int64]
    scores: Scores
    curve: list[float]
    weight: NDArray[np.float64]
    shown: NDArray[np.float64]
    t: int = 0
    train_loss: float = 0.0
    selected: float = 0.0
    updates: int = 0
    dev_passes: int = 1
    diverged: bool = False

    def count(self, group: NDArray[np.int64], weights: NDArray[np.float32]) -> None:
        """Book the weights that a step gave to candidates of these groups."""
        self.selected = float((weights > 0).mean())
        self.weight += np.bincount(group, weights=weights, minlength=len(self.weight))
        self.shown += np.bincount(group, minlength=len(self.shown))

    def info(self, domains: tuple[str, ...]) -> dict[str, Any]:
        """The info of a step: the same numbers under the same keys in every step."""
        by_domain = self.weight.reshape(len(domains), -1).sum(1) / max(self.weight.sum(), 1e-12)
        return {
            "dev_nll": self.scores.nll,
            "dev_accuracy": self.scores.accuracy,
            "dev_macro_f1": self.scores.macro_f1,
            "train_loss": self.train_loss if not self.diverged else 0.0,
            "selected": self.selected,
            "updates": self.updates,
            "dev_passes": self.dev_passes,
            "diverged": self.diverged,
        } | {f"weight/{domain}": float(share) for domain, share in zip(domains, by_domain, strict=True)}


@dataclass(frozen=True)
class State:
    """A moment of an environment.

    Attributes:
        student: what learning changes in the student.
        gradient: (1, C, H) dev gradient at its last layer.
        episode: the episode.
        random: the random stream's state.
    """

    student: dict[str, Any]
    gradient: Tensor
    episode: Episode
    random: dict[str, Any]
