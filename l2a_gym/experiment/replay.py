"""Rows put to the test: recorded actions are played again, and what comes of them is compared with what a row says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum

import gymnasium as gym
import numpy as np
from l2a_agents.selector import Action, Observation

from l2a_gym.distill.device import one_thread
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import Env, TaskAdapter, adapter_of
from l2a_gym.experiment.examples import examples
from l2a_gym.experiment.job import Job
from l2a_gym.experiment.references import LEARN
from l2a_gym.experiment.rows import ClassifierFigures, Example, Row, Student, unpack
from l2a_gym.experiment.students import WRONG, Played, final_student, mean_return, mean_shares, mean_wrong_share
from l2a_gym.experiment.suite import TOY
from l2a_gym.tasks.registry import outline
from l2a_gym.wording import printable


class Verdict(Enum):
    """What a replay finds; the value is the word for it."""

    CONFIRMED = "confirmed"
    NOT_COMPARABLE = "not comparable"
    REFUTED = "REFUTED"


@dataclass(frozen=True)
class Finding:
    """What a replay says of a row.

    Attributes:
        row: the row.
        mismatches: what does not hold; none where the row is confirmed.
        largest_difference: of a number from the row's.
        note: what else a reader should know.
        comparable: whether this refutes the row; it does not where the prepared files are others, or where its settings
            can't be used here.
    """

    row: Row
    mismatches: tuple[str, ...]
    largest_difference: float
    note: str = ""
    comparable: bool = True

    @property
    def verdict(self) -> Verdict:
        """Whether the row holds, does not, or can't be judged here."""
        if not self.mismatches:
            return Verdict.CONFIRMED
        return Verdict.REFUTED if self.comparable else Verdict.NOT_COMPARABLE

    def __str__(self) -> str:
        task, selector, seed = self.row.key
        agrees = "exactly" if self.largest_difference == 0 else f"differences of at most {self.largest_difference:.2g}"
        says = "; ".join([*([self.note] if self.note else []), *(self.mismatches or [agrees])])
        return printable(f"{self.verdict.value}: {selector} on {task}, seed {seed}: {says}")


def replay(rows: Sequence[Row], tolerance: float = 0.0) -> Iterator[Finding]:
    """Play the recorded actions of rows again, on one thread as they were played.

    Args:
        rows: of any benchmark.
        tolerance: the largest difference of a number that still confirms. On the kind of processor that made the row,
            from the same prepared files, there is none.

    Yields:
        What each row's replay says, in their order.

    Raises:
        UserError: a task of a row is not there.
    """
    for row in rows:
        with one_thread():
            yield replay_row(row, tolerance)


def replay_row(row: Row, tolerance: float) -> Finding:
    """Play a row's students again, and score its task's teachers and references where the row has them."""
    if row.task != TOY:
        outline(row.task)  # a task that is not there is no forgery
    try:
        adapter = adapter_of(row.task, row.settings)
        env = adapter.env(**{name: value for name, value in row.options.items() if name != "features"})
    except UserError as error:
        cant = f"its settings {dict(row.settings)} can't be used here: {error}"
        return Finding(row, (cant,), np.inf, comparable=False)  # such as those of a GPU, which are no forgery
    seeds = Job(*row.key, row.budget, len(row.students), row.settings).seeds
    again = adapter.classifiers() if row.classifiers else {}
    absent = [name for name in row.classifiers if name not in again]
    mismatches = [f"there is no classifier {name}" for name in absent if name not in LEARN]
    notes = [f"{name} can't be computed here" for name in absent if name in LEARN]
    found = {"reference score": adapter.reference_score(seeds)}
    found |= _numbers({name: figures for name, figures in again.items() if name in row.classifiers})
    said = {"reference score": row.reference_score, "curve's end": row.curve[-1].episode_return}
    said |= _numbers(row.classifiers)
    played = []
    for number, (student, seed) in enumerate(zip(row.students, seeds, strict=True), start=1):
        if student.seed != seed:
            mismatches.append(f"student {number} has the seed {student.seed}, which is not of this row: {seed} is")
        try:
            played.append(play_again(adapter, env, student))
        except (ValueError, gym.error.Error) as error:
            mismatches.append(f"student {number} can't be played: {error}")
            continue
        said |= _numbers_of(student, number)
        found |= {name: each for name, each in _numbers_of(played[-1].student, number).items() if name in said}
    if len(played) == len(row.students):
        found["curve's end"] = mean_return(played)
        for table, shares in (("domains", row.domain_share), ("operators", row.operator_share)):
            here = mean_shares(played, table, env.get_wrapper_attr(table))
            said[f"share of {table}"], found[f"share of {table}"] = 0.0, _largest_difference(shares, here)
        if row.wrong_share:
            here = {WRONG: mean_wrong_share(played)}
            said["share of wrong labels"], found["share of wrong labels"] = (
                0.0,
                _largest_difference({WRONG: row.wrong_share}, here),
            )
        if row.examples:
            here = _weights(examples(adapter, played[0]))
            said["examples"], found["examples"] = 0.0, _largest_difference(_weights(row.examples), here)
    apart = {name: abs(found[name] - said[name]) for name in found}
    wrong = [name for name in found if not apart[name] <= tolerance]
    same_files = adapter.fingerprint() == row.prepared
    comparable = same_files or len(mismatches) > 0  # these have nothing to do with the files
    mismatches += [f"{name} is {found[name]!r}, not {said[name]!r}" for name in wrong]
    if not same_files:
        notes.append(_other_files(row, adapter))
    return Finding(row, tuple(mismatches), max(apart.values()), "; ".join(notes), comparable)


def _numbers_of(student: Student, number: int) -> dict[str, float]:
    """What a row says of its student of that number, by name; older rows have fewer metrics."""
    own = {"score": student.score, "episode_return": student.episode_return, **student.metrics}
    return {f"student {number}'s {name}": value for name, value in own.items()}


def _other_files(row: Row, adapter: TaskAdapter) -> str:
    """The sentence on a row whose prepared files are not those that are here."""
    here = adapter.stages()
    other = [name for name in here if here[name] != row.stages.get(name)] if row.stages else []
    which = f", first in the stage {other[0]}" if other else ""
    return f"its prepared files were others{which} ({row.prepared}, here {adapter.fingerprint()})"


def play_again(adapter: TaskAdapter, env: Env, student: Student) -> Played:
    """Train a recorded student again.

    Raises:
        ValueError: its actions are not as many as its episode has steps, or can't be unpacked.
    """
    (size,) = env.action_space.shape or ()
    actions = unpack(student.actions, size, env.get_wrapper_attr("candidates"))
    recorded = iter(actions)

    def act(_: Observation) -> Action:
        action = next(recorded, None)
        if action is None:
            raise ValueError(f"its episode goes on after the {len(actions)} recorded steps")
        return action

    played = final_student(adapter, env, act, student.seed)
    if next(recorded, None) is not None:
        raise ValueError(f"its episode ends before the {len(actions)} recorded steps")
    return played


def _numbers(classifiers: Mapping[str, ClassifierFigures]) -> dict[str, float]:
    """Every figure by its name."""
    return {f"{name}'s {key}": value for name, each in classifiers.items() for key, value in asdict(each).items()}


def _weights(shown: Sequence[Example]) -> dict[str, list[float]]:
    """The weight of each example by all else that it says."""
    return {str(replace(each, weight=0.0)): [each.weight] for each in shown}


def _largest_difference(said: Mapping[str, list[float]], found: Mapping[str, list[float]]) -> float:
    """Largest difference of two tables of shares; infinite where they have other names or lengths."""
    if {name: len(each) for name, each in said.items()} != {name: len(each) for name, each in found.items()}:
        return float("inf")
    return float(max(np.abs(np.subtract(said[name], found[name])).max() for name in said))
