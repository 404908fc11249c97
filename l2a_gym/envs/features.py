"""What an observation is made of: of each column its name, its sentence for the docs, its function and its range.

A new feature of candidates is one entry of :data:`FEATURES` and a row in ``docs/environment.md``; a test compares both.
Functions use what tensors and arrays can do by themselves, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from l2a_gym.envs.episode import Episode

if TYPE_CHECKING:
    from torch import Tensor

    from l2a_gym.envs.context import PoolContext, ShownContext

Context = TypeVar("Context")
AnyColumn = TypeVar("AnyColumn", bound="Column[Any]")


@dataclass(frozen=True)
class Column(Generic[Context]):
    """A column of a table: name, formula in words, function, and the range of its values."""

    name: str
    formula: str
    value: Callable[[Context], Any]
    low: float = 0
    high: float = 1


@dataclass(frozen=True)
class Feature(Column[Any]):
    """A feature of candidates; with ``on_request`` it is shown only where it is named."""

    on_request: bool = False


@dataclass(frozen=True)
class Fixed(Feature):
    """A feature of the prepared texts, computed once: (n,), or (n, c) where it has c columns."""

    value: Callable[[PoolContext], Tensor]


@dataclass(frozen=True)
class Moving(Feature):
    """A feature that the students' learning changes, computed in each step: (E, N)."""

    value: Callable[[ShownContext], Tensor]


@dataclass(frozen=True)
class Groups:
    """What the columns of domains, or of operators, are computed from; arrays of numpy or tensors.

    Attributes:
        first: (G,) 1 for the first one: the target, or the source texts as they are.
        size: (G,) share of the pool's candidates.
        weight: (..., G) share of all weight given so far in the episode.
        loss: (..., N) ``student_loss`` of the candidates now shown.
        given: (..., N) the teacher's probability of their given labels.
        mean: from values (..., N) to the mean of each one's candidates (..., G); 0 without any.
        distance: (G,) of each domain to the target.
    """

    first: Any
    size: Any
    weight: Any
    loss: Any
    given: Any
    mean: Callable[[Any], Any]
    distance: Any = None


def squash(x: Any) -> Any:
    """x / (1 + x), from [0, inf) to [0, 1)."""
    return x / (1 + x)


def soft_sign(x: Tensor) -> Tensor:
    """x / (1 + |x|), in (-1, 1)."""
    return x / (1 + x.abs())


def entropy(probability: Tensor) -> Tensor:
    """Entropy of rows (..., C) over its largest value ln C, in [0, 1]."""
    return (-probability.xlogy(probability)).sum(-1) / log(probability.shape[-1])


def _table(*columns: AnyColumn) -> dict[str, AnyColumn]:
    return {column.name: column for column in columns}


FEATURES: dict[str, Feature] = _table(
    Fixed("domain", "one column a domain: 1 for the candidate's own", lambda pool: pool.one_hot("domain")),
    Fixed("operator", "one column an operator: 1 for the one that made it", lambda pool: pool.one_hot("operator")),
    Fixed("label", "one column a class: 1 for the given label", lambda pool: pool.one_hot("label")),
    Fixed(
        "label_share",
        "share of the given label among the target's labels of train and dev",
        lambda pool: pool.label_share,
        on_request=True,
    ),
    Fixed("few_shot_label", "few-shot teacher's probability of the given label", lambda pool: pool.given("few-shot")),
    Fixed("all_data_label", "all-data teacher's probability of the given label", lambda pool: pool.given("all-data")),
    Fixed(
        "cross_fitted_label",
        "cross-fitted teacher's probability of the given label",
        lambda pool: pool.given("cross-fitted"),
        on_request=True,
    ),
    Fixed(
        "plausible",
        "1 where confident learning does not suspect the given label",
        lambda pool: ~pool.signal("suspected"),
        on_request=True,
    ),
    Fixed("teacher_confidence", "largest probability of the teacher that teaches", lambda pool: pool.teacher.amax(1)),
    Fixed("teacher_entropy", "entropy of its probabilities / ln C", lambda pool: entropy(pool.teacher)),
    Fixed(
        "similarity",
        "cosine of the sentence vector and the target's mean, both less the pool's mean",
        lambda pool: pool.signal("similarity"),
        low=-1,
    ),
    Fixed(
        "domain_log_odds",
        "tanh(x / 4), x the log-odds target : sources of a logistic regression",
        lambda pool: (pool.signal("log_odds") / 4).tanh(),
        low=-1,
    ),
    Fixed("length", "tokens / largest number of tokens", lambda pool: pool.tokens.length / pool.tokens.ids.shape[1]),
    Fixed("edit_share", "share of words changed from its parent", lambda pool: pool.signal("edit_share")),
    Fixed(
        "importance",
        "x / (1 + |x|), x the mean of ln(p / q) over its n-grams",
        lambda pool: soft_sign(pool.against_shots("log_importance")),
        low=-1,
        on_request=True,
    ),
    Fixed(
        "cross_entropy_difference",
        "x / (1 + |x|), x = cross-entropy by the shots - by the pool",
        lambda pool: soft_sign(pool.against_shots("cross_entropy_difference")),
        low=-1,
        on_request=True,
    ),
    Moving(
        "student_loss",
        "x / (1 + x), x the student's cross-entropy with the given label",
        lambda shown: squash(shown.cross_entropy),
    ),
    Moving("student_entropy", "entropy of the student's probabilities / ln C", lambda shown: entropy(shown.student)),
    Moving("student_confidence", "largest probability of the student", lambda shown: shown.student.amax(2)),
    Moving("kl", "x / (1 + x), x = KL(teacher || student)", lambda shown: squash(shown.kl)),
    Moving(
        "agreement",
        "cosine of its and the dev set's cross-entropy gradient at the last layer",
        lambda shown: shown.agreement,
        low=-1,
    ),
    Fixed(
        "clean",
        "1 where the given label is not known to be wrong; for the oracle control only",
        lambda pool: ~pool.signal("flipped"),
        on_request=True,
    ),
)
"""Every feature that a candidate can have, in the order of the columns.

On request are how frequent the label is in the target, two that judge it, two that take a pass over all texts, and the
oracle's.
"""

STUDENT: dict[str, Column[Episode]] = _table(
    Column("dev_nll", "x / (1 + x), x the dev negative log-likelihood", lambda now: squash(max(now.scores.nll, 0.0))),
    Column("dev_accuracy", "dev accuracy", lambda now: now.scores.accuracy),
    Column("dev_macro_f1", "dev macro F1", lambda now: now.scores.macro_f1),
    Column("trend", "the metric's gain in the last step, clipped", lambda now: min(max(now.gain, -1.0), 1.0), low=-1),
    Column(
        "train_loss",
        "x / (1 + x), x the mean training loss of the last step",
        lambda now: squash(max(now.train_loss, 0.0)),
    ),
    Column("progress", "t / T", lambda now: now.t / now.steps),
    Column(
        "updates_left",
        "x / (1 + x), x the student updates left in the episode / 100",
        lambda now: squash((now.steps - now.t) * now.step_updates / 100),
    ),
)
"""Columns of the student."""

DOMAIN: dict[str, Column[Groups]] = _table(
    Column("is_target", "1 for the target", lambda each: each.first),
    Column("size", "share of the pool's candidates", lambda each: each.size),
    Column("distance", "1 - cosine of its and the target's mean sentence vector", lambda each: each.distance, high=2),
    Column("selected", "share of all weight given to it so far in the episode", lambda each: each.weight),
    Column(
        "student_loss",
        "mean of student_loss over its candidates now shown; 0 without any",
        lambda each: each.mean(each.loss),
    ),
)
"""Columns of a domain."""

OPERATOR: dict[str, Column[Groups]] = _table(
    Column("is_source", "1 for the source texts as they are", lambda each: each.first),
    Column("made", "share of the pool's candidates that it made", lambda each: each.size),
    Column("chosen", "share of all weight given to it so far in the episode", lambda each: each.weight),
    Column(
        "mean_loss",
        "mean of student_loss over its candidates now shown; 0 without any",
        lambda each: each.mean(each.loss),
    ),
    Column(
        "label_kept",
        "mean over these of the teacher's probability of the given label; 0 without any",
        lambda each: each.mean(each.given),
    ),
)
"""Columns of an operator."""
