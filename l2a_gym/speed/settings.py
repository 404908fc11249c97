"""Settings of a measurement of speed, which are its command line too; nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from l2a_gym.errors import check_choice, check_least
from l2a_gym.experiment.settings import Run, Student

Part = Literal["step", "peers", "students", "peak", "prepare", "episodes", "generate", "teachers"]


@dataclass(frozen=True)
class Bench:
    """Measure speed: one table of ratios and figures on this machine.

    Attributes:
        parts: what is measured; by default all.
        task: a task id or the path of a task file.
        student: that of the environment.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        device: auto, cpu, cuda or cuda:<i>.
        repeats: timed turns of each figure; its median counts.
        numbers: how many students at a time are timed; by default 1 to 64 on a CPU and 1 to 1024 on a GPU.
        sizes: numbers of candidates of the tasks that are prepared.
        json: file for the figures.
    """

    parts: tuple[Part, ...] = ()
    task: str = Run.task
    student: Student = Run.student
    checkpoint: str = Run.checkpoint
    device: str = Run.device
    repeats: int = 5
    numbers: tuple[int, ...] = ()
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    json: Path | None = None

    def __post_init__(self) -> None:
        for part in self.parts:
            check_choice("part", part, get_args(Part))
        check_least("repeats", self.repeats)

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of the environment."""
        return {name: getattr(self, name) for name in ("task", "student", "checkpoint", "device")}
