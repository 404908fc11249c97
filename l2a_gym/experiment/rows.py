"""Rows: what a benchmark's run leaves behind, one line of JSON each, with everything that is needed to repeat it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l2a_gym.errors import UserError
from l2a_gym.experiment.json_lines import checked, read_lines

LEVELS, TRUST_LEVELS = 255, 127
"""Weights are rounded to so many steps from 0 to 1, and trust to so many on each side of 0, before they are played, so
that a row holds each in a byte."""


class Key(NamedTuple):
    """What tells a benchmark's rows apart."""

    task: str
    selector: str
    seed: int


@dataclass(frozen=True)
class Student:
    """One final student.

    Attributes:
        seed: of its episode.
        score: accuracy on the target's test split; on the toy, of its made-up student.
        episode_return: sum of the episode's rewards.
        actions: the actions (T, N), or (T, 2N) with trust, that were played, packed by :func:`pack`.
        metrics: further scores, such as ``dev_accuracy`` and ``test_macro_f1``; older rows have none.
    """

    seed: int
    score: float
    episode_return: float
    actions: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """What a selector was worth while it was trained: units spent by then, and its students' mean return."""

    spent: int
    episode_return: float


@dataclass(frozen=True)
class ClassifierFigures:
    """What a teacher or a reference is worth on a task.

    Attributes:
        test_accuracy: share of the test texts that it classifies as they are labelled.
        texts: number of test texts.
        labels: labelled texts of the target that it was made with, those that chose its settings included.
        parameters: stored numbers that it classifies with.
    """

    test_accuracy: float
    texts: int
    labels: int
    parameters: int


@dataclass(frozen=True)
class Example:
    """A candidate text of a final student's episode.

    Attributes:
        text: its beginning; of a pair both sides.
        label: the class that it is given out for.
        domain: where it comes from.
        wrong: whether that label is known to be wrong.
        weight: mean of the weights that it got when it was shown, in [0, 1].
    """

    text: str
    label: str
    domain: str
    wrong: bool
    weight: float


@dataclass(frozen=True)
class Row:
    """One selector, trained once on one task.

    Attributes:
        task: its id, or the path of its file.
        selector: its name.
        seed: of the training; the students' seeds follow from it.
        budget: student updates and dev passes that training was given.
        spent: what it took, as the benchmark counted.
        reference_score: the all-data teacher's score; on the toy, that of the best actions.
        students: the final students.
        curve: the selector's worth during and after training; one point where there is nothing to train.
        domain_share: domain -> share of all weight given to it by the end of each step (T,), mean over the students.
        operator_share: operator -> the same.
        settings: arguments of the environment, but for those that the selector asked for.
        options: arguments that it asked for.
        prepared: names the prepared files by a hash of their content; empty for the toy.
        stages: stage of the preparation -> the same of its files; older rows and the toy's have none.
        versions: of the packages.
        machine: the processor or GPU that made the row.
        seconds: wall-clock time it took.
        hyper: values of the selector's hyper-parameters that differ from their defaults.
        classifiers: name -> figures of the task's teachers, then of its references; older rows and the toy's have none.
        wrong_share: share of all weight given to candidates whose label is known to be wrong by the end of each step
            (T,), mean over the students; empty where no label is, and in older rows.
        examples: texts with the highest, then with the lowest weights of the first student; older rows and the toy's
            have none.
    """

    task: str
    selector: str
    seed: int
    budget: int
    spent: int
    reference_score: float
    students: tuple[Student, ...]
    curve: tuple[Checkpoint, ...]
    domain_share: Mapping[str, list[float]]
    operator_share: Mapping[str, list[float]]
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    prepared: str
    versions: Mapping[str, str]
    machine: str
    seconds: float
    hyper: Mapping[str, Any] = field(default_factory=dict)
    classifiers: Mapping[str, ClassifierFigures] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    wrong_share: list[float] = field(default_factory=list)
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> Key:
        """Task, selector and seed."""
        return Key(self.task, self.selector, self.seed)

    @property
    def score(self) -> float:
        """Mean score of the final students."""
        return float(np.mean([student.score for student in self.students]))

    def accuracies(self, split: str) -> list[float]:
        """Those of the final students on ``dev`` or ``test``; a made-up student has its score on both."""
        return [each.metrics.get(f"{split}_accuracy", each.score) for each in self.students]

    @property
    def episode_return(self) -> float:
        """Their mean return."""
        return float(np.mean([student.episode_return for student in self.students]))

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Row:
        """The row that :meth:`as_json` wrote.

        Raises:
            KeyError: a value is missing.
            TypeError: one is of another type.
            ValueError: there are no students, nothing was found of them, or a number can't be what it stands for.
        """
        students = tuple(checked(Student, each) for each in values["students"])
        curve = tuple(checked(Checkpoint, each) for each in values["curve"])
        if not students or not curve:
            raise ValueError("students or curve are empty")
        named = dict(values.get("classifiers", {}))
        classifiers = {name: checked(ClassifierFigures, each) for name, each in named.items()}
        examples = tuple(checked(Example, each) for each in values.get("examples", []))
        made = {"students": students, "curve": curve, "classifiers": classifiers, "examples": examples}
        row = checked(Row, {**values, **made})
        if row.budget < 1 or not all([*row.domain_share.values(), *row.operator_share.values()]):
            raise ValueError("budget is 0, or a list of shares is empty")
        if any(each.texts < 1 for each in classifiers.values()):
            raise ValueError("a classifier has no test texts")
        return row


@dataclass(frozen=True)
class Failure:
    """A run that came to no row, and why: a sentence, or the trace of an exception."""

    task: str
    selector: str
    seed: int
    error: str

    @property
    def key(self) -> Key:
        """Task, selector and seed."""
        return Key(self.task, self.selector, self.seed)

    @property
    def reason(self) -> str:
        """The last line of why."""
        return (self.error.strip().splitlines() or ["no reason given"])[-1]

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


def read_rows(file: Path) -> list[Row]:
    """The rows of a file; a last line that was cut off while it was written is left out.

    Raises:
        UserError: no such file, or a line that is no row.
    """
    return read_lines(file, Row.from_dict, "row of a benchmark")


def read_failures(file: Path) -> list[Failure]:
    """The failures of a file, none where there is no such file; a last line that was cut off is left out.

    Raises:
        UserError: a line that is no failure.
    """
    return read_lines(file, partial(checked, Failure), "failure of a benchmark") if file.is_file() else []


def rounded(action: NDArray[np.float32], candidates: int) -> NDArray[np.float32]:
    """An action as a row holds it: weights from 0 (which drops a candidate, as less does) to 1, trust from -1 to 1.

    Args:
        action: (N,), or (2N,) with trust.
        candidates: N.

    Raises:
        UserError: it holds a value that is not finite, which no byte stands for.
    """
    if not np.isfinite(action).all():
        raise UserError("the selector's action holds values that are not finite: valid are numbers in [-1, 1]")
    return _played(_levels(action, candidates), candidates)


def pack(actions: Iterable[NDArray[np.float32]], candidates: int) -> str:
    """Rounded actions as text: a byte a value, deflated, in base 64."""
    levels = np.stack([_levels(action, candidates) for action in actions])
    return base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode("ascii")


def unpack(text: str, size: int, candidates: int) -> NDArray[np.float32]:
    """Actions (T, size) that :func:`pack` packed.

    Raises:
        ValueError: the text is not what it gives.
    """
    try:
        levels = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), dtype=np.uint8)
    except zlib.error as error:
        raise ValueError(f"actions can't be unpacked ({error})") from error
    return _played(levels.reshape(-1, size), candidates)


def _levels(action: NDArray[np.float32], candidates: int) -> NDArray[np.uint8]:
    """Each value as a byte."""
    weights, trust = np.split(action, [candidates])
    levels = np.clip(weights, 0, 1) * LEVELS, (1 + np.clip(trust, -1, 1)) * TRUST_LEVELS
    return np.round(np.concatenate(levels)).astype(np.uint8)


def _played(levels: NDArray[np.uint8], candidates: int) -> NDArray[np.float32]:
    """The values (..., size) of such bytes."""
    weights, trust = np.split(levels, [candidates], axis=-1)
    return np.concatenate([weights / LEVELS, trust / TRUST_LEVELS - 1], axis=-1).astype(np.float32)
