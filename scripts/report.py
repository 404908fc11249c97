"""Report the rows of a benchmark: one page and a Markdown file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from l2a_gym.cli import run_cli
from l2a_gym.errors import UserError
from l2a_gym.experiment.report.page import write_report
from l2a_gym.experiment.report.report import read_report


@dataclass(frozen=True)
class Arguments:
    """Report rows of a benchmark.

    Attributes:
        files: files of rows, of one budget.
        out: folder for report.html and report.md.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path = Path("report")

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError("no rows are given: name one or more files of rows")


def main(arguments: Arguments) -> None:
    for path in write_report(read_report(arguments.files, arguments.out), arguments.out):
        print(path)


if __name__ == "__main__":
    run_cli(Arguments, main)
