"""A benchmark's report: one page that needs nothing else, and the same as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from l2a_gym.benchmark.records import Failure, Row, read_rows
from l2a_gym.benchmark.report import explained, plots
from l2a_gym.benchmark.report.compared import REFERENCES, UNIFORM
from l2a_gym.benchmark.report.geometry import areas, scale
from l2a_gym.benchmark.report.markdown import as_markdown
from l2a_gym.benchmark.report.origin import FAILURES, commands_of, read_failures, title_of
from l2a_gym.benchmark.report.standings import Standings, standings
from l2a_gym.benchmark.report.wording import between, listed, number, p_value
from l2a_gym.cache import write_text

SIGNS = {"beats": "\N{BLACK UP-POINTING TRIANGLE}", "loses": "\N{BLACK DOWN-POINTING TRIANGLE}"} | dict.fromkeys(
    ("undecided", "undecidable"), "\N{WHITE CIRCLE}"
)


def report_files(files: Sequence[Path], folder: Path) -> tuple[Path, Path]:
    """Report the rows of some files, with the failures and the settings beside them; see :func:`write_report`.

    Raises:
        UserError: a file can't be read, a line is no row, or the rows can't be compared.
    """
    rows = [row for file in files for row in read_rows(file)]
    beside = dict.fromkeys(file.parent / FAILURES for file in files)
    failures = [failure for file in beside for failure in read_failures(file)]
    return write_report(rows, folder, failures, title_of(files), commands_of(files, folder))


def write_report(
    rows: Sequence[Row],
    folder: Path,
    failures: Sequence[Failure] = (),
    title: str = "benchmark",
    commands: Mapping[str, str] | None = None,
) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.md`` into a folder, each beside its place and renamed there.

    Args:
        rows: of one budget; ``none`` among them on each task.
        folder: made where it is missing.
        failures: runs that came to no row; those that have one by now are left out.
        title: the suite's name.
        commands: what a command is for, such as ``repeat`` -> the command.

    Returns:
        The page and the Markdown file. The same arguments give the same bytes.

    Raises:
        UserError: the rows can't be compared; nothing is written.
    """
    found = standings(rows)
    made, problems = explained.made(rows, found), explained.problems(found, failures)
    page = as_html(found, title, made, commands or {}, problems)
    text = as_markdown(found, title, made, commands or {}, problems)
    html, markdown = folder / "report.html", folder / "report.md"
    write_text(html, page)
    write_text(markdown, text)
    return html, markdown


def as_html(
    found: Standings,
    title: str,
    made: Mapping[str, str],
    commands: Mapping[str, str],
    problems: Mapping[str, Sequence[str]],
) -> str:
    """The page: styles, script and pictures are in it, and it asks for nothing."""
    in_time = plots.in_time(found)
    colours = _colours(found)

    def shown(task: str, kind: str) -> list[str]:
        """The names that any selector gave weight to, in the order of their colours."""
        tables = [getattr(choice, kind) for choice in found.choices[task].values()]
        return sorted({n for table in tables for n in table if max(table[n]) > 0}, key=lambda n: colours[kind][n])

    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            found=found,
            title=title,
            facts=explained.facts(found),
            made=made,
            commands=commands,
            problems=problems,
            texts=explained.TEXTS,
            kinds=explained.KINDS,
            signs=SIGNS,
            references=REFERENCES,
            scale=scale([each.score for each in found.standings]),
            uniform=next((each.score.value for each in found.standings if each.selector == UNIFORM), None),
            profiles=plots.profiles(found),
            anytime=plots.anytime(found, in_time),
            in_time=in_time,
            dashes=plots.dashes,
            colours=colours,
            shown=shown,
            areas=areas,
        )
    )


def _colours(found: Standings) -> dict[str, dict[str, int]]:
    """Domains and operators -> number of each name's colour, the same on all tasks."""
    choices = [choice for by_selector in found.choices.values() for choice in by_selector.values()]
    return {kind: plots.numbered(getattr(each, kind) for each in choices) for kind in ("domains", "operators")}


def _environment() -> Environment:
    """Whatever stands in rows is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": number, "between": between, "p_value": p_value, "listed": listed}
    return environment
