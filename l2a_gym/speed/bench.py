"""One command, one table: what each part of the project costs on this machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from typing import Any

import torch

from l2a_gym.augment.settings import MaskedTraining
from l2a_gym.cache import write_text
from l2a_gym.distill.device import resolve_device
from l2a_gym.envs.setup import Arguments, Setup
from l2a_gym.experiment.settings import Run
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.open_task import OpenTask
from l2a_gym.speed.clock import Figures
from l2a_gym.speed.episodes import episodes
from l2a_gym.speed.generation import generation
from l2a_gym.speed.peers import peers
from l2a_gym.speed.preparation import preparation
from l2a_gym.speed.settings import Bench, Part
from l2a_gym.speed.step import steps
from l2a_gym.speed.teachers import teachers
from l2a_gym.speed.updates import peak, stacked

STUDENTS = {"cpu": (1, 4, 16, 64), "cuda": (1, 16, 64, 256, 1024)}
"""How many students at a time are timed, by the kind of the device."""
FULL_LOAD = {"cpu": 1, "cuda": 256}
"""How many students the update's share of the peak is measured with."""


def device_of(plan: Bench) -> torch.device:
    """Where is measured."""
    return resolve_device(plan.device)


def _peers(plan: Bench) -> Figures:
    setup = Setup(Arguments(**plan.settings, teacher="all-data"))
    return peers(setup, setup.load_world(), plan.repeats)


def _students(plan: Bench) -> Figures:
    setup = Setup(Arguments(**plan.settings))
    return stacked(setup, setup.load_world(), plan.numbers or STUDENTS[device_of(plan).type], plan.repeats)


def _peak(plan: Bench) -> Figures:
    narrow = device_of(plan).type == "cpu" and plan.student == "tiny"
    setup = Setup(Arguments(**plan.settings | ({"student": "ratio"} if narrow else {})))
    return peak(setup, setup.load_world(), FULL_LOAD[device_of(plan).type], 2 * plan.repeats)


def _episodes(plan: Bench) -> Figures:
    """On a CPU those of PPO, on a GPU those of PGPE, whose every generation is one batch of students."""
    if device_of(plan).type == "cpu":
        return {"episodes_per_hour": episodes(Run(algo="ppo", **plan.settings), 24 * plan.repeats)}
    runs = {e: Run(algo="pgpe", num_envs=e, **plan.settings) for e in plan.numbers or STUDENTS["cuda"]}
    return {"episodes_per_hour": {str(e): episodes(run, 4 * e) for e, run in runs.items()}}


def _prepare(plan: Bench) -> Figures:
    return preparation(plan.checkpoint, plan.student, plan.sizes, device_of(plan))


def _generate(plan: Bench) -> Figures:
    task = OpenTask(plan.task).task(plan.checkpoint)
    return generation(task, plan.checkpoint, MaskedTraining(), device_of(plan), plan.repeats)


def _teachers(plan: Bench) -> Figures:
    task = OpenTask(plan.task).task(plan.checkpoint)
    return teachers(task, Preparation(checkpoint=plan.checkpoint), device_of(plan))


PARTS: dict[Part, Callable[[Bench], Figures]] = {
    "step": lambda plan: steps(plan.settings, 4 * plan.repeats),
    "peers": _peers,
    "students": _students,
    "peak": _peak,
    "prepare": _prepare,
    "episodes": _episodes,
    "generate": _generate,
    "teachers": _teachers,
}
"""What can be measured; each gives figures by name."""


def bench(plan: Bench) -> Figures:
    """Measure, print a table in Markdown, and write ``plan.json``.

    Returns:
        All figures, and ``machine``.
    """
    figures: Figures = {}
    for part in plan.parts or PARTS:
        figures |= PARTS[part](plan)
    figures["machine"] = machine(device_of(plan))
    print(table(figures))
    if plan.json:
        write_text(plan.json, json.dumps(figures, indent=1))
    return figures


def machine(device: torch.device) -> str:
    """The device's name, and what else a figure depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def table(figures: Figures) -> str:
    """Markdown; a figure that has a value for several numbers takes a row each."""
    return "\n".join(["| figure | value |", "|---|---|", *_rows("", figures)])


def _rows(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _rows(f"{name} {key}".strip(), each)
    else:
        yield f"| {name} | {value if isinstance(value, str) else format(value, '.4g')} |"
