"""What a report says, before it is a page or a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from l2a_gym.experiment.report import explained
from l2a_gym.experiment.report.grid import Grid, grid
from l2a_gym.experiment.report.leaderboard import Leaderboard, leaderboard
from l2a_gym.experiment.report.origin import FAILURES, commands_of, title_of
from l2a_gym.experiment.rows import Example, Failure, Row, read_failures, read_rows
from l2a_gym.wording import printable


@dataclass(frozen=True)
class Report:
    """A report's numbers with the words around them.

    Attributes:
        found: the selectors compared.
        title: the suite's name.
        made: what a repetition has to keep alike -> how it was.
        commands: what a command is for, such as ``repeat`` -> the command.
        grid: which runs are there, failed or are missing.
        problems: heading -> lines on what failed, or makes rows less comparable.
    """

    found: Leaderboard
    title: str
    made: Mapping[str, str]
    commands: Mapping[str, str]
    grid: Grid
    problems: Mapping[str, Sequence[str]]


def report_on(
    rows: Sequence[Row],
    failures: Sequence[Failure] = (),
    title: str = "benchmark",
    commands: Mapping[str, str] | None = None,
) -> Report:
    """Compare rows of one budget, ``uniform`` among them on each task.

    Args:
        rows: what is compared.
        failures: runs that came to no row; those that have one by now are left out.
        title: the suite's name.
        commands: what a command is for -> the command.

    Raises:
        UserError: the rows can't be compared.
    """
    rows, failures = [_shown(row) for row in rows], [_shown_failure(each) for each in failures]
    found = leaderboard(rows)
    failures = [each for each in failures if each.key not in found.keys]
    return Report(
        found=found,
        title=printable(title),
        made=explained.made(rows, found),
        commands={what: printable(command) for what, command in (commands or {}).items()},
        grid=grid(found, failures),
        problems=explained.problems(found, failures),
    )


def _shown(row: Row) -> Row:
    """A row whose names can be shown anywhere."""
    names = (
        *("task", "selector", "domain_share", "operator_share"),
        *("settings", "options", "hyper", "prepared", "versions", "machine", "classifiers"),
    )
    examples = tuple(Example(**_printable(asdict(each))) for each in row.examples)
    return replace(row, examples=examples, **{name: _printable(getattr(row, name)) for name in names})


def _shown_failure(failure: Failure) -> Failure:
    task, selector, reason = map(printable, (failure.task, failure.selector, failure.reason))
    return Failure(task, selector, failure.seed, reason)


def _printable(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {printable(name): _printable(value) for name, value in values.items()}
    return printable(values) if isinstance(values, str) else values


def read_report(files: Sequence[Path], folder: Path) -> Report:
    """Compare the rows of some files, with the failures and the settings beside them.

    Args:
        files: of rows.
        folder: where the report is going to lie; its commands name it.

    Raises:
        UserError: a file can't be read, a line is no row, or the rows can't be compared.
    """
    rows = [row for file in files for row in read_rows(file)]
    beside = dict.fromkeys(file.parent / FAILURES for file in files)
    failures = [failure for file in beside for failure in read_failures(file)]
    return report_on(rows, failures, title_of(files), commands_of(files, folder))
