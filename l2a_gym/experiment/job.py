"""One training and its score, a row: what every experiment is made of."""

from __future__ import annotations

import platform
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from l2a_agents.selector import Fixed, Selector

from l2a_gym.distill.device import one_thread
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import TaskAdapter, adapter_of
from l2a_gym.experiment.examples import examples
from l2a_gym.experiment.rows import Checkpoint, Failure, Key, Row
from l2a_gym.experiment.seeds import student_seeds, training_seed
from l2a_gym.experiment.selectors import SELECTORS, load_class
from l2a_gym.experiment.students import final_students, mean_return, mean_shares, mean_wrong_share
from l2a_gym.experiment.training import Snapshots, train


@dataclass(frozen=True)
class Job:
    """One selector on one task.

    Attributes:
        task: as for :func:`~l2a_gym.experiment.adapter.adapter_of`.
        selector: its name.
        seed: of the training, by which rows of different selectors are paired.
        budget: student updates and dev passes.
        students: final students.
        settings: further arguments of the environment.
        hyper: values of the selector's own hyper-parameters that differ from their defaults.
    """

    task: str
    selector: str
    seed: int
    budget: int
    students: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    hyper: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Task, selector and seed."""
        return Key(self.task, self.selector, self.seed)

    @property
    def seeds(self) -> list[int]:
        """The final students' seeds: the same for all selectors."""
        return student_seeds(self.task, self.students, self.seed)


def attempt(job: Job) -> Row | Failure:
    """Do a job on one thread; what goes wrong becomes a record, so that other jobs go on."""
    try:
        with one_thread():
            return do(job)
    except (Exception, SystemExit) as error:  # a selector that exits is no reason to stop
        return Failure(*job.key, "".join(traceback.format_exception(error)))


def do(job: Job) -> Row:
    """Train the selector on the job's budget, then score it by final students of its deterministic actions.

    Raises:
        UserError: something about the task, the selector or the cache that its user can mend.
    """
    start = time.perf_counter()
    check_options(load_class(job.selector))
    adapter = adapter_of(job.task, job.settings)
    selector = adapter.selector(job.selector, **job.hyper)
    with tempfile.TemporaryDirectory() as folder:
        snapshots = Snapshots(Path(folder), selector, job.budget)
        spent = train(adapter, selector, job.budget, training_seed(job.task, job.seed), snapshots)
        return row_of(job, adapter, selector, job.seeds, start, spent, snapshots.kept())


def check_options(kind: type[Selector]) -> None:
    """Refuse a selector that asks for other things of the environment than :func:`options_of` gives it.

    Raises:
        UserError: it asks for another thing, which experiments keep alike for all.
    """
    valid = options_of(kind)
    if other := [name for name in sorted(kind.env_options) if name not in valid]:
        raise UserError(
            f"{kind.__name__} asks for {', '.join(other)} in its env_options, which a benchmark keeps alike "
            f"for all: valid are {', '.join(valid)}"
        )
    if kind.env_options.get("action") == "mixture":
        raise UserError(f"{kind.__name__} asks for action = 'mixture', which no row can hold: valid are weights, trust")


def options_of(kind: type[Selector]) -> tuple[str, ...]:
    """What a selector may ask for: to see and do more, and as a fixed rule, that students learn in another way."""
    return ("features", "action", *(["distillation"] if issubclass(kind, Fixed) else []))


def row_of(
    job: Job,
    adapter: TaskAdapter,
    selector: Selector,
    seeds: Sequence[int],
    start: float,
    spent: int = 0,
    kept: Mapping[int, Path] = {},
) -> Row:
    """Score a trained selector.

    Args:
        job: whose row it is.
        adapter: of the job's task.
        selector: as it was trained.
        seeds: of the final students.
        start: when the job began, by ``time.perf_counter``.
        spent: units that its training took.
        kept: units -> where it lies as it was when so many were spent.
    """
    env = adapter.env(**selector.env_options)
    curve = []
    for units, folder in kept.items():
        earlier = adapter.selector(job.selector, **job.hyper)
        earlier.load(folder)
        curve.append(Checkpoint(units, mean_return(final_students(adapter, earlier, seeds))))
    final = final_students(adapter, selector, seeds)
    return Row(
        **job.key._asdict(),
        budget=job.budget,
        spent=spent,
        reference_score=adapter.reference_score(seeds),
        students=tuple(each.student for each in final),
        curve=(*curve, Checkpoint(spent, mean_return(final))),
        domain_share=mean_shares(final, "domains", env.get_wrapper_attr("domains")),
        operator_share=mean_shares(final, "operators", env.get_wrapper_attr("operators")),
        settings=job.settings,
        options=selector.env_options,
        hyper=job.hyper,
        prepared=adapter.fingerprint(),
        stages=adapter.stages(),
        versions=versions() | SELECTORS.packages([job.selector.partition("@")[0]]),
        machine=machine(adapter.device),
        seconds=round(time.perf_counter() - start, 1),
        classifiers=adapter.classifiers(),  # behind the seconds: all rows of a task have them in common
        wrong_share=mean_wrong_share(final),
        examples=examples(adapter, final[0]),
    )


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {name: version(name) for name in ("l2a-gym", "torch", "transformers", "gymnasium", "numpy")}


def machine(device: torch.device) -> str:
    """What the numbers of a row depend on besides the versions: the GPU, or the kind of processor as torch uses it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
