"""Train a selector, compare it with the controls and export the student."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from l2a_gym.cli import run_cli
from l2a_gym.experiment.run import Run
from l2a_gym.experiment.runner import train
from l2a_gym.preparation.data_report import data_report
from l2a_gym.tasks.registry import make_task


@dataclass(frozen=True)
class Arguments:
    """Train a selector, compare it with the controls and export the student.

    Attributes:
        run: the training run.
        check: print what there is to know of the data, and stop.
    """

    run: Annotated[Run, tyro.conf.arg(name="")]
    check: bool = False


def main(arguments: Arguments) -> None:
    if arguments.check:
        print(data_report(make_task(arguments.run.task), arguments.run.checkpoint))
    else:
        train(arguments.run)


if __name__ == "__main__":
    run_cli(Arguments, main)
