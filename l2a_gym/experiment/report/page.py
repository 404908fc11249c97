"""A benchmark's report: one page that needs nothing else, and the same as Markdown."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from l2a_gym.cache import write_text
from l2a_gym.errors import UserError
from l2a_gym.experiment.report import explained, plots
from l2a_gym.experiment.report.compared import UNIFORM, references
from l2a_gym.experiment.report.geometry import areas, scale
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.markdown import MARK, as_markdown
from l2a_gym.experiment.report.report import Report
from l2a_gym.experiment.report.wording import between, either, listed, number, p_value

MARKS = {"report.html": '<meta name="generator" content="L2A-Gym">', "report.md": MARK}
"""A report's files -> what stands in each that is ours."""
SIGNS = {"beats": "\N{BLACK UP-POINTING TRIANGLE}", "loses": "\N{BLACK DOWN-POINTING TRIANGLE}"} | dict.fromkeys(
    ("undecided", "undecidable"), "\N{WHITE CIRCLE}"
)


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.md`` into a folder, made where it is missing; each beside its place, renamed.

    Returns:
        The page and the Markdown file. The same report gives the same bytes.

    Raises:
        UserError: a file of the user's stands there, or the disk can't be written.
    """
    check_report(folder)
    html, markdown = (folder / name for name in MARKS)
    write_text(html, as_html(report))
    write_text(markdown, as_markdown(report))
    return html, markdown


def check_report(folder: Path) -> None:
    """Refuse to replace what is no report of ours.

    Raises:
        UserError: names the file.
    """
    for file, mark in ((folder / name, mark) for name, mark in MARKS.items()):
        if file.exists() and not (file.is_file() and mark in file.read_text(encoding="utf-8", errors="replace")):
            raise UserError(f"{file} is no report of L2A-Gym's and would be replaced: move it, or give another --out")


def as_html(report: Report) -> str:
    """The page: styles, script and pictures are in it, and it asks for nothing."""
    found = report.found
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
            title=report.title,
            facts=explained.facts(found),
            made=report.made,
            commands=report.commands,
            problems=report.problems,
            texts=explained.TEXTS,
            kinds=explained.KINDS,
            signs=SIGNS,
            references=references(found.entries),
            scale=scale([each.score for each in found.entries]),
            uniform=next((each.score.value for each in found.entries if each.selector == UNIFORM), None),
            profiles=plots.profiles(found),
            anytime=plots.anytime(found, in_time),
            in_time=in_time,
            dashes=plots.dashes,
            colours=colours,
            shown=shown,
            areas=areas,
        )
    )


def _colours(found: Leaderboard) -> dict[str, dict[str, int]]:
    """Domains and operators -> number of each name's colour, the same on all tasks."""
    choices = [choice for by_selector in found.choices.values() for choice in by_selector.values()]
    return {kind: plots.numbered(getattr(each, kind) for each in choices) for kind in ("domains", "operators")}


def _environment() -> Environment:
    """Whatever stands in rows is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        **{"number": number, "between": between, "p_value": p_value},
        **{"listed": listed, "either": either},
    }
    return environment
