"""A report as Markdown: its sentences and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import nan

from l2a_gym.experiment.report import explained
from l2a_gym.experiment.report.compared import Entry, references
from l2a_gym.experiment.report.details import WRONG, Cell, Classifier
from l2a_gym.experiment.report.grid import Grid
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.report import Report
from l2a_gym.experiment.report.wording import between, either, gained, number, p_value
from l2a_gym.wording import plain

MARK = "<!-- generator: L2A-Gym -->"
"""The last line, by which a report of ours is known."""


def as_markdown(report: Report) -> str:
    """All of the page but its pictures."""
    found = report.found
    verdicts = _items(each.text for each in found.verdicts) or "No selector that learns can be compared."
    problems = [f"{what}:\n\n{_items(lines)}" for what, lines in report.problems.items()]
    sections = {
        "What was found": f"{verdicts}\n\n{explained.GAINS} {explained.VERDICTS}",
        "Leaderboard": f"{_leaderboard(found)}\n\n{explained.LEADERBOARD} {explained.level(found)}",
        "Task by task": f"{explained.CELLS}\n\n{_cells(found)}",
        **({"Teachers and references": _classifiers(found)} if found.classifiers else {}),
        **({"Weight on wrong labels": _wrong(found)} if any(_wrong_tasks(found)) else {}),
        "Controls": _items(found.controls) or "None was run.",
        "How it was made": "\n\n".join([_made(report.made, report.commands), *explained.STATISTICS]),
        "What is there": "\n\n".join([explained.GRID, _grid(report.grid), *problems]),
    }
    facts = ", ".join(f"{what} {value}" for what, value in explained.facts(found).items())
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    return f"# {plain(report.title)}\n\n{facts}\n\n{explained.INTRO}\n\n{body}\n\n{MARK}\n"


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
    head = ["selector", "", *(column for each in shown for column in (f"vs. {each}", "p")), "seeds"]
    return table(head, (_entry(each, shown) for each in found.entries))


def _entry(entry: Entry, shown: Sequence[str]) -> list[str]:
    found = [entry.over.get(reference) for reference in shown]
    over = [text for each in found for text in ((between(each.mean), p_value(each.adjusted)) if each else ("", ""))]
    return [plain(entry.selector), explained.KINDS[entry.kind], *over, str(len(entry.seeds))]


def _cells(found: Leaderboard) -> str:
    rows = [
        [plain(selector), *(_cell(cells.get(task)) for task in found.tasks)] for selector, cells in found.cells.items()
    ]
    teacher = ["all-data teacher", *(number(100 * found.teacher[task], 1) for task in found.tasks)]
    return table(["selector", *map(plain, found.tasks)], [*rows, teacher])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    gain = f" ({gained(cell.gain, cell.half)})" if cell.gain == cell.gain else ""
    return number(100 * cell.accuracy, 1) + gain


def _wrong_tasks(found: Leaderboard) -> list[str]:
    return [task for task in found.tasks if any(each.labels for each in found.choices[task].values())]


def _wrong(found: Leaderboard) -> str:
    """Shares at the end of an episode, in %."""
    tasks = _wrong_tasks(found)
    ends = {
        name: [
            100 * each.labels[WRONG][-1] if (each := found.choices[t].get(name)) and each.labels else nan for t in tasks
        ]
        for name in found.cells
    }
    rows = [[plain(name), *(number(each, 1) for each in row)] for name, row in ends.items()]
    return f"{explained.WRONG}\n\n{table(['selector', *map(plain, tasks)], rows)}"


def _grid(found: Grid) -> str:
    rows = ([plain(name), *(each.sign for each in places)] for name, places in found.places.items())
    return table(["selector", *map(str, found.seeds)], rows)


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
