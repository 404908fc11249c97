"""Measure speed.

``step``: an environment step against its bare student updates and dev pass. ``generate``: generating texts in batches
against one text at a time.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from l2a_gym.benchmark.speed import generation, step
from l2a_gym.cli import run_cli
from l2a_gym.envs.distill_aug import DEFAULT_TASK
from l2a_gym.errors import check_choice

BENCHES = {"step": (step, 40), "generate": (generation, 3)}
"""What is measured, and by default how often."""


@dataclass(frozen=True)
class Arguments:
    """Measure speed, in one interleaved run.

    Attributes:
        what: step or generate.
        task: a task id or the path of a task file.
        device: auto, cpu, cuda or cuda:<i>.
        repeats: timed pairs; by default 40 of step and 3 of generate.
        json: file for the figures.
    """

    what: Annotated[str, tyro.conf.Positional]
    task: str = DEFAULT_TASK
    device: str = "auto"
    repeats: int | None = None
    json: Path | None = None


def main(arguments: Arguments) -> None:
    check_choice("bench", arguments.what, BENCHES)
    bench, usual = BENCHES[arguments.what]
    bench(arguments.task, arguments.device, usual if arguments.repeats is None else arguments.repeats, arguments.json)


if __name__ == "__main__":
    run_cli(Arguments, main)
