"""What changes within an episode, besides the student and the random stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

METRICS = ("nll", "accuracy", "macro_f1")
DIVERGED = -1.0
"""The reward of a step after which the student's loss is not finite; the episode ends there."""
METAGRADIENT_COST = 6
"""What an update and the way back through it take, in updates; 5.5 and 5.7 were measured (``tiny``, on a CPU)."""

AnyEpisode = TypeVar("AnyEpisode", bound="Episode")


@dataclass(frozen=True)
class Scores:
    """Negative log-likelihood in nats, accuracy and macro F1 of one pass over a labelled set."""

    nll: float
    accuracy: float
    macro_f1: float

    def value(self, metric: str) -> float:
        """The metric with a sign such that more is better."""
        return -self.nll if metric == "nll" else float(getattr(self, metric))


@dataclass(kw_only=True)
class Episode:
    """The mutable part of an episode: counters, scores, and what was chosen.

    Attributes:
        metric: of the reward.
        steps: T.
        step_updates: K, student updates a step.
        groups: G, the number of domains times operators.
        scores: of the student, as of the last pass over dev.
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

    metric: str
    steps: int
    step_updates: int
    groups: int
    scores: Scores
    curve: list[float] = field(init=False)
    weight: NDArray[np.float64] = field(init=False)
    shown: NDArray[np.float64] = field(init=False)
    t: int = 0
    train_loss: float = 0.0
    selected: float = 0.0
    updates: int = 0
    dev_passes: int = 1
    diverged: bool = False

    def __post_init__(self) -> None:
        self.curve = [self.scores.value(self.metric)]
        self.weight, self.shown = np.zeros((2, self.groups))

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self.diverged or self.t >= self.steps

    @property
    def gain(self) -> float:
        """The metric's gain in the last step; 0 before the first one, and where the student diverged."""
        return self.curve[-1] - self.curve[-2] if self.t and not self.diverged else 0.0

    def check_going(self) -> None:
        """Raise a :class:`ResetNeeded` after the end of the episode."""
        if self.over:
            raise ResetNeeded("the episode is over: call reset() before the next step()")

    def book(self, group: NDArray[np.int64], weights: NDArray[np.float32], loss: float, scores: Scores | None) -> float:
        """Book a step.

        Args:
            group: (N,) domain x operator of the candidates shown.
            weights: (N,) that they had.
            loss: mean training loss.
            scores: of the student after the step, or None where no pass over dev was due.

        Returns:
            The metric's gain; :data:`DIVERGED` where a loss is not finite.
        """
        self.t += 1
        self.train_loss = loss
        self.updates += self.step_updates
        self.dev_passes += scores is not None
        self.selected = float((weights > 0).mean())
        self.weight += np.bincount(group, weights=weights, minlength=self.groups)
        self.shown += np.bincount(group, minlength=self.groups)
        scores = scores or self.scores
        if not (isfinite(loss) and isfinite(scores.nll)):
            self.diverged = True
            return DIVERGED
        self.scores = scores
        self.curve.append(scores.value(self.metric))
        return self.gain

    def book_metagradient(self) -> None:
        """Count what a metagradient through the whole episode spends."""
        self.updates += METAGRADIENT_COST * self.steps * self.step_updates
        self.dev_passes += 1

    def check_fresh(self) -> None:
        """Raise a :class:`ResetNeeded` unless the episode has just begun."""
        if self.t:
            raise ResetNeeded(
                f"a metagradient begins with an episode, and {self.t} steps were taken: call reset() first"
            )

    def info(self, domains: tuple[str, ...]) -> dict[str, Any]:
        """The info of a step: the same numbers under the same keys in every step."""
        shares = weight_shares(self.weight.reshape(len(domains), -1), axis=1)
        return {
            "dev_nll": self.scores.nll,
            "dev_accuracy": self.scores.accuracy,
            "dev_macro_f1": self.scores.macro_f1,
            "train_loss": self.train_loss if not self.diverged else 0.0,
            "selected": self.selected,
            "updates": self.updates,
            "dev_passes": self.dev_passes,
            "diverged": self.diverged,
        } | {f"weight/{domain}": share for domain, share in zip(domains, shares.tolist(), strict=True)}


def begun(episode: AnyEpisode | None) -> AnyEpisode:
    """The episode.

    Raises:
        ResetNeeded: none has begun.
    """
    if episode is None:
        raise ResetNeeded("call reset() first: no episode has begun")
    return episode


def weight_shares(weight: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Shares of all weight given, by domain (``axis=-1``) or by operator (``axis=-2``); 0 before any.

    Args:
        weight: (..., D, O).
        axis: that is summed over.
    """
    total = weight.sum((-2, -1), keepdims=True).squeeze(axis)
    shares: NDArray[np.float64] = weight.sum(axis) / np.maximum(total, 1e-12)
    return shares


@dataclass(kw_only=True)
class TextEpisode(Episode):
    """An episode over prepared texts.

    Attributes:
        rows: (N,) the candidates shown.
        labelled: rows that anchors are drawn from.
        anchors: those that join the next step.
    """

    rows: NDArray[np.int64]
    labelled: range
    anchors: NDArray[np.int64]


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
    episode: TextEpisode
    random: dict[str, Any]
