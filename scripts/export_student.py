"""Train a student on a long episode under a run's selector and write it as a Hugging Face folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from l2a_gym.cli import run_cli
from l2a_gym.experiment.runner import export_run


@dataclass(frozen=True)
class Arguments:
    """Export a student.

    Attributes:
        run: a run folder.
        to: the folder to write; by default student/ in the run folder.
    """

    run: Annotated[Path, tyro.conf.Positional]
    to: Path | None = None


def main(arguments: Arguments) -> None:
    export_run(arguments.run, arguments.to)


if __name__ == "__main__":
    run_cli(Arguments, main)
