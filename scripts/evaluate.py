"""Repeat the comparison of finished runs on fresh student seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from l2a_gym.cli import run_cli
from l2a_gym.errors import UserError, check_least
from l2a_gym.experiment.runner import evaluate_run


@dataclass(frozen=True)
class Arguments:
    """Evaluate finished runs.

    Attributes:
        runs: run folders.
        students: fresh student seeds, the same for all runs.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    students: int = 5

    def __post_init__(self) -> None:
        if not self.runs:
            raise UserError("no run is given: name one or more run folders")
        check_least("students", self.students)


def main(arguments: Arguments) -> None:
    for folder in arguments.runs:
        evaluate_run(folder, arguments.students)


if __name__ == "__main__":
    run_cli(Arguments, main)
