"""A benchmark's report: one page that needs nothing else, the same as Markdown, and its first picture as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from l2a_gym.cache import write_bytes
from l2a_gym.errors import UserError
from l2a_gym.experiment.report import explained, intervals, plots
from l2a_gym.experiment.report.compared import references
from l2a_gym.experiment.report.details import WRONG
from l2a_gym.experiment.report.geometry import areas, line
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.markdown import MARK, as_markdown
from l2a_gym.experiment.report.report import Report
from l2a_gym.experiment.report.wording import between, either, gained, listed, millions, number, p_value, per_cent
from l2a_gym.experiment.suite import UNIFORM

MARKS = {
    "report.html": '<meta name="generator" content="L2A-Gym">',
    "report.md": MARK,
    "report.png": "Software\0L2A-Gym",
}
"""A report's files -> what stands in each that is ours."""
SIGNS = {"beats": "\N{BLACK UP-POINTING TRIANGLE}", "loses": "\N{BLACK DOWN-POINTING TRIANGLE}"} | dict.fromkeys(
    ("undecided", "undecidable"), "\N{WHITE CIRCLE}"
)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write ``report.html``, ``report.md`` and ``report.png`` into a folder, made where it is missing.

    Each is written beside its place and renamed.

    Returns:
        The files in this order. The same report gives the same bytes.

    Raises:
        UserError: a file of the user's stands there, or the disk can't be written.
    """
    check_report(folder)
    files = [folder / name for name in MARKS]
    contents = as_html(report).encode(), as_markdown(report).encode(), intervals.as_png(report.found)
    for file, content in zip(files, contents, strict=True):
        write_bytes(file, content)
    return files


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

    wrong = {task: each for task, each in found.choices.items() if any(choice.labels for choice in each.values())}
    among_all = {task: found.choices[task][UNIFORM].labels for task in wrong if UNIFORM in found.choices[task]}

    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            found=found,
            report=report,
            facts=explained.facts(found),
            level=explained.level(found),
            texts=explained.TEXTS,
            kinds=explained.KINDS,
            signs=SIGNS,
            references=references(found.entries),
            hero=intervals.on_page(found),
            anytime=plots.anytime(found, in_time),
            in_time=in_time,
            dashes=plots.dashes,
            colours=colours,
            shown=shown,
            wrong=list(wrong),
            among_all={task: each[WRONG] for task, each in among_all.items() if each},
            areas=areas,
            line=line,
        )
    )


def _colours(found: Leaderboard) -> dict[str, dict[str, int]]:
    """Domains and operators -> number of each name's colour, the same on all tasks."""
    choices = [choice for by_selector in found.choices.values() for choice in by_selector.values()]
    return {kind: plots.numbered(getattr(each, kind) for each in choices) for kind in ("domains", "operators")}


def environment(**options: Any) -> Environment:
    """The templates beside this file; whatever stands in rows is escaped unless the options say otherwise."""
    options = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True, **options}
    made = Environment(loader=FileSystemLoader(Path(__file__).parent), **options)
    made.filters |= {
        **{"number": number, "between": between, "p_value": p_value, "gained": gained, "per_cent": per_cent},
        **{"listed": listed, "either": either, "breakable": breakable, "whole_options": whole_options},
        **{"millions": millions},
    }
    return made


def breakable(name: str) -> Markup:
    """A name that a narrow column may break behind its hyphens, slashes, dots, colons and underscores."""
    return Markup(re.sub("([-/.:_])", r"\1<wbr>", str(escape(name))))


def whole_options(sentence: str) -> Markup:
    """A sentence in which no line breaks within an option of the command line."""
    return Markup(re.sub(r"(--[\w-]+)", r'<code class="option">\1</code>', str(escape(sentence))))
