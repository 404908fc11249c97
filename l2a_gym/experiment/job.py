"""One training and its score: what an executor's worker does, a function of its job alone."""

from __future__ import annotations

import hashlib
import platform
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from l2a_agents.registry import selector_class
from l2a_agents.selector import Action, MakeEnv, Observation, Selector, Spaces
from numpy.typing import NDArray

from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import Arena, arena_of
from l2a_gym.experiment.evaluate import play, student_seeds
from l2a_gym.experiment.meter import Meter
from l2a_gym.experiment.rows import Checkpoint, Failure, Key, Row, Student, pack, rounded
from l2a_gym.experiment.run import versions

STREAM = 4
"""The first of the benchmark's streams of seeds; runs and ablations have those before it."""
LOOKS = (0.25, 0.5)
"""Shares of the budget at which a selector is kept, to see later what it was worth by then."""
SELECTED = {"domains": 3, "operators": 2}
"""Tables of the observation -> their column that holds the share of all weight so far."""

Act = Callable[[Observation], Action]


@dataclass(frozen=True)
class Job:
    """One selector on one task.

    Attributes:
        task: as for :func:`~l2a_gym.experiment.adapter.arena_of`.
        selector: its name.
        seed: of the training, by which rows of different selectors are paired.
        budget: student updates and dev passes.
        students: final students.
        settings: further arguments of the environment.
    """

    task: str
    selector: str
    seed: int
    budget: int
    students: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Task, selector and seed."""
        return Key(self.task, self.selector, self.seed)

    @property
    def seeds(self) -> list[int]:
        """The final students' seeds: the same for all selectors, and others on each task."""
        return student_seeds(self._stream, self.students, self.seed)

    @property
    def training_seed(self) -> int:
        """What training starts from: likewise."""
        return student_seeds(self._stream + 1, 1, self.seed)[0]

    @property
    def _stream(self) -> int:
        """Draws on different tasks are independent, as the statistics take them to be; a file's folder is no matter."""
        return STREAM + int.from_bytes(hashlib.sha256(Path(self.task).name.encode()).digest()[:4], "big")


def attempt(job: Job) -> Row | Failure:
    """Do a job on one thread; what goes wrong becomes a record, so that other jobs go on."""
    try:
        with one_thread():
            return do(job)
    except (Exception, SystemExit) as error:  # a selector that exits is no reason to stop
        return Failure(*job.key, "".join(traceback.format_exception(error)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums come out the same on machines with any number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def do(job: Job) -> Row:
    """Train the selector on the job's budget, then score it by final students of its deterministic actions.

    Raises:
        UserError: something about the task, the selector or the cache that its user can mend.
    """
    start = time.perf_counter()
    arena, kind = arena_of(job.task, job.settings), selector_class(job.selector)
    options = options_of(kind)
    env = arena.make_env(**options)()
    selector = kind(Spaces.from_env(env))
    fingerprint = arena.fingerprint(env)
    with tempfile.TemporaryDirectory() as folder:
        spent, kept = train(job, selector, arena.make_env(**options), Path(folder))
        curve = [Checkpoint(when, worth(arena, env, kind, path, job.seeds)) for when, path in kept.items()]
    final = [final_student(arena, env, selector.act, seed) for seed in job.seeds]
    return Row(
        **job.key._asdict(),
        budget=job.budget,
        spent=spent,
        top=arena.top(env, job.seeds),
        students=tuple(each.student for each in final),
        curve=(*curve, Checkpoint(spent, mean_return(final))),
        chosen=mean_shares(final, "domains", env.get_wrapper_attr("domains")),
        used=mean_shares(final, "operators", env.get_wrapper_attr("operators")),
        settings=job.settings,
        options=options,
        prepared=fingerprint,
        versions=versions(),
        machine=machine(arena.device),
        seconds=round(time.perf_counter() - start, 1),
    )


def options_of(kind: type[Selector]) -> Mapping[str, Any]:
    """What a selector may ask of the environment: to see more. All else is the benchmark's, and alike for all.

    Raises:
        UserError: it asks for another thing.
    """
    if other := set(kind.env_options) - {"features"}:
        raise UserError(
            f"{kind.__name__} asks for {', '.join(sorted(other))} in its env_options, which a benchmark keeps alike "
            f"for all: valid is features"
        )
    return kind.env_options


def train(job: Job, selector: Selector, make_env: MakeEnv, folder: Path) -> tuple[int, dict[int, Path]]:
    """Train the selector; it is saved on the way, when :data:`LOOKS` of the budget are spent.

    Returns:
        The units spent; and where it lies as it was when so many were spent.
    """
    meter, due, kept = Meter(), [share * job.budget for share in LOOKS], {}

    def log(_: int, __: Mapping[str, float]) -> None:
        if due and meter.spent >= due[0]:
            while due and meter.spent >= due[0]:
                due.pop(0)
            kept[meter.spent] = folder / str(meter.spent)
            kept[meter.spent].mkdir()
            selector.save(kept[meter.spent])

    selector.train(meter.around(make_env), job.budget, job.training_seed, log)
    return meter.spent, kept


def worth(arena: Arena, env: gym.Env[Any, Any], kind: type[Selector], folder: Path, seeds: Sequence[int]) -> float:
    """Mean return of the final students of a selector that was saved."""
    selector = kind(Spaces.from_env(env))
    selector.load(folder)
    return mean_return([final_student(arena, env, selector.act, seed) for seed in seeds])


@dataclass(frozen=True)
class Played:
    """A final student, and what its candidates were.

    Attributes:
        student: the record.
        selected: table of the observation -> (T, its rows): the share of all weight given to each by then.
    """

    student: Student
    selected: Mapping[str, NDArray[np.float32]]


def final_student(arena: Arena, env: gym.Env[Any, Any], act: Act, seed: int) -> Played:
    """Train a student under rounded actions, and score it."""
    moves = list(play(env, lambda observation: rounded(act(observation)), seed))
    student = Student(
        seed=seed,
        score=arena.score(env, moves[-1].info),
        episode_return=sum(move.reward for move in moves),
        actions=pack([move.action for move in moves]),
    )
    tables = {
        name: np.stack([move.observation[name][:, column] for move in moves]) for name, column in SELECTED.items()
    }
    return Played(student, tables)


def mean_return(played: Sequence[Played]) -> float:
    """Mean return of some students."""
    return float(np.mean([each.student.episode_return for each in played]))


def mean_shares(played: Sequence[Played], table: str, names: Sequence[str]) -> dict[str, list[float]]:
    """Name -> share of all weight by the end of each step, mean over the students whose episode had that step."""
    steps = max(len(each.selected[table]) for each in played)
    means = [
        np.mean([each.selected[table][t] for each in played if t < len(each.selected[table])], axis=0)
        for t in range(steps)
    ]
    return {name: [round(float(mean[i]), 4) for mean in means] for i, name in enumerate(names)}


def machine(device: torch.device) -> str:
    """What the numbers of a row depend on besides the versions: the GPU, or the kind of processor as torch uses it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
