"""A report as Markdown: its sentences and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from l2a_gym.experiment.report import explained
from l2a_gym.experiment.report.compared import Entry, references
from l2a_gym.experiment.report.details import Cell, Classifier
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.report import Report
from l2a_gym.experiment.report.wording import between, either, number, p_value
from l2a_gym.wording import plain

MARK = "<!-- generator: L2A-Gym -->"
"""The last line, by which a report of ours is known."""


def as_markdown(report: Report) -> str:
    """All of the page but its pictures."""
    found = report.found
    sections = {
        "What was found": _items(each.text for each in found.verdicts) or "No selector that learns can be compared.",
        "Leaderboard": "\n\n".join(
            [explained.SCORE, _leaderboard(found), explained.LEADERBOARD, *map(plain, found.incomplete)]
        ),
        "Task by task": f"{explained.CELLS}\n\n{_cells(found)}",
        **({"Teachers and references": _classifiers(found)} if found.classifiers else {}),
        "Controls": _items(found.controls) or "None was run.",
        "How it was made": "\n\n".join([_made(report.made, report.commands), *explained.STATISTICS]),
        "Missing and failed": "\n\n".join(f"{what}:\n\n{_items(lines)}" for what, lines in report.problems.items())
        or "Every selector has a row for every task and seed.",
    }
    facts = ", ".join(f"{what} {value}" for what, value in explained.facts(found).items())
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    return f"# {plain(report.title)}\n\n{facts}\n\n{body}\n\n{MARK}\n"


def code(text: str) -> str:
    """Text as code, whatever backquotes are in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " * (longest > 0)
    return f"{fence}{space}{text}{space}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: the first column to the left, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {plain(line)}" for line in lines)


def _leaderboard(found: Leaderboard) -> str:
    shown = references(found.entries)
    over = [column for each in shown for column in (f"vs. {each}", "p")]
    head = ["selector", "", "score", *over, "chance to beat uniform", "seeds"]
    return table(head, (_entry(each, shown) for each in found.entries))


def _entry(entry: Entry, shown: Sequence[str]) -> list[str]:
    found = [entry.over.get(reference) for reference in shown]
    over = [text for each in found for text in ((between(each.mean), p_value(each.adjusted)) if each else ("", ""))]
    ends = number(entry.improvement), str(len(entry.seeds))
    return [plain(entry.selector), explained.KINDS[entry.kind], between(entry.score), *over, *ends]


def _cells(found: Leaderboard) -> str:
    rows = [
        [plain(selector), *(_cell(cells.get(task), len(found.seeds)) for task in found.tasks)]
        for selector, cells in found.cells.items()
    ]
    teacher = ["all-data teacher", *(number(100 * found.teacher[task], 1) for task in found.tasks)]
    return table(["selector", *map(plain, found.tasks)], [*rows, teacher])


def _cell(cell: Cell | None, seeds: int) -> str:
    if cell is None:
        return ""
    half = f" ± {number(100 * cell.half, 1)}" if cell.half == cell.half else ""
    return number(100 * cell.mean, 1) + half + (f" (n = {cell.seeds})" if cell.seeds < seeds else "")


def _classifiers(found: Leaderboard) -> str:
    head = ["name", "labels", "parameters", "test accuracy"]
    tables = (
        f"### {plain(task)}\n\n{table(head, (_classifier(name, each) for name, each in by_name.items()))}"
        for task, by_name in found.classifiers.items()
    )
    return "\n\n".join([explained.CLASSIFIERS, *tables])


def _classifier(name: str, found: Classifier) -> list[str]:
    accuracy = f"{number(100 * found.accuracy, 1)} ± {number(100 * found.error, 1)}"
    return [plain(name), either(found.labels), either(f"{n:,}" for n in found.parameters), accuracy]


def _made(made: Mapping[str, str], commands: Mapping[str, str]) -> str:
    facts = [f"- {what}: {plain(value)}" for what, value in made.items()]
    return "\n".join([*facts, *(f"- {what}: {code(command)}" for what, command in commands.items())])
