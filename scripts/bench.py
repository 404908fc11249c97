"""Measure speed. ``step``: an environment step against its bare student updates and dev pass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from l2a_gym.benchmark.speed import step
from l2a_gym.cli import run_cli
from l2a_gym.envs.distill_aug import DEFAULT_TASK
from l2a_gym.errors import check_choice

BENCHES = {"step": step}


@dataclass(frozen=True)
class Arguments:
    """Measure speed, in one interleaved run.

    Attributes:
        what: step.
        task: a task id or the path of a task file.
        device: auto, cpu, cuda or cuda:<i>.
        repeats: timed pairs.
        json: file for the figures.
    """

    what: Annotated[str, tyro.conf.Positional]
    task: str = DEFAULT_TASK
    device: str = "auto"
    repeats: int = 40
    json: Path | None = None


def main(arguments: Arguments) -> None:
    check_choice("bench", arguments.what, BENCHES)
    BENCHES[arguments.what](arguments.task, arguments.device, arguments.repeats, arguments.json)


if __name__ == "__main__":
    run_cli(Arguments, main)
