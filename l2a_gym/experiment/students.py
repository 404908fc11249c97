"""Final students: trained under a selector's deterministic actions, and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from l2a_agents.rollout import Actor, rollout
from l2a_agents.selector import Action, Observation, Selector
from numpy.typing import NDArray

from l2a_gym.distill.device import one_thread
from l2a_gym.experiment.adapter import Env, TaskAdapter
from l2a_gym.experiment.rows import Student, pack, rounded

WRONG = "wrong"
TABLES = {"domains": "selected", "operators": "chosen"}
"""Tables of the observation -> their column that holds the share of all weight so far."""


@dataclass(frozen=True)
class Played:
    """A final student, and what its candidates were.

    Attributes:
        student: the record.
        shares: table of the observation -> (T, its rows): the share of all weight given to each by then; ``wrong`` ->
            (T, 1), that of the candidates whose label is known to be wrong, or (T, 0) where no label is.
        shown: (T, N) rows of the candidates in the prepared files; (T, 0) on the toy.
        weights: (T, N) that they got.
    """

    student: Student
    shares: Mapping[str, NDArray[np.floating]]
    shown: NDArray[np.int64]
    weights: NDArray[np.float32]


def final_student(adapter: TaskAdapter, env: Env, act: Actor, seed: int) -> Played:
    """Train a student under rounded actions, and score it."""
    shown, candidates = [], env.get_wrapper_attr("candidates")

    def rounded_act(observation: Observation) -> Action:
        shown.append(adapter.shown(env))
        return rounded(act(observation), candidates)

    steps = list(rollout(env, rounded_act, seed))
    score, metrics = adapter.scores(env, steps[-1].info)
    student = Student(
        seed=seed,
        score=score,
        episode_return=sum(step.reward for step in steps),
        actions=pack([step.action for step in steps], candidates),
        metrics=metrics,
    )
    columns = {table: env.get_wrapper_attr(f"{table[:-1]}_columns").index(name) for table, name in TABLES.items()}
    shares = {
        name: np.stack([step.next_observation[name][:, column] for step in steps]) for name, column in columns.items()
    }
    rows, weights = np.stack(shown), np.stack([step.action[:candidates] for step in steps])
    return Played(student, shares | {WRONG: wrong_share(adapter.wrong(), rows, weights)}, rows, weights)


def wrong_share(
    wrong: NDArray[np.bool_], shown: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Share of all weight given so far to candidates whose label is wrong, (T, 1); (T, 0) where none is wrong.

    Args:
        wrong: (n,) by candidate.
        shown: (T, N) candidates.
        weights: (T, N) that they got.
    """
    if not wrong.any():
        return np.empty((len(shown), 0))
    given, all_given = (each.sum(axis=1, dtype=np.float64).cumsum() for each in (weights * wrong[shown], weights))
    return (given / np.maximum(all_given, 1e-12))[:, None]


@one_thread()
def final_students(adapter: TaskAdapter, selector: Selector, seeds: Sequence[int]) -> list[Played]:
    """A final student a seed."""
    env = adapter.env(**selector.env_options)
    return [final_student(adapter, env, selector.act, seed) for seed in seeds]


def mean_return(played: Sequence[Played]) -> float:
    """Mean return of some students."""
    return float(np.mean([each.student.episode_return for each in played]))


def mean_shares(played: Sequence[Played], table: str, names: Sequence[str]) -> dict[str, list[float]]:
    """Name -> share of all weight by the end of each step, mean over the students whose episode had that step."""
    steps = max(len(each.shares[table]) for each in played)
    means = [
        np.mean([each.shares[table][t] for each in played if t < len(each.shares[table])], axis=0) for t in range(steps)
    ]
    return {name: [round(float(mean[i]), 4) for mean in means] for i, name in enumerate(names)}


def mean_wrong_share(played: Sequence[Played]) -> list[float]:
    """The same for candidates whose label is known to be wrong; empty where no label is."""
    return mean_shares(played, WRONG, [WRONG] * played[0].shares[WRONG].shape[1]).get(WRONG, [])
