"""A benchmark's outcome in a few lines of text, for the end of a command."""

from __future__ import annotations

from collections.abc import Sequence

from l2a_gym.experiment.report.compared import Entry, references
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.wording import between, count


def as_text(found: Leaderboard) -> str:
    """The leaderboard and the sentences of a report, without colours."""
    name = max([8, *(len(each.selector) for each in found.entries)]) + 2
    shown = references(found.entries)
    head = f"{'selector':{name}}" + "".join(f"{'vs. ' + each:>22}" for each in shown) + f"{'seeds':>7}"
    facts = f"{count(len(found.tasks), 'task')}, {count(len(found.seeds), 'seed')}, budget {found.budget:,}"
    missing = len(found.cells) * len(found.tasks) * len(found.seeds) - len(found.keys)
    lacks = [f"{count(missing, 'row')} missing: the report shows which."] if missing else []
    said = [*(each.text for each in found.verdicts), *found.controls, *lacks, *found.warnings]
    lines = [f"{facts}; points of test accuracy", head, *(_line(each, name, shown) for each in found.entries), *said]
    return "\n".join(line.rstrip() for line in lines)


def _line(entry: Entry, name: int, shown: Sequence[str]) -> str:
    over = [between(entry.over[each].mean) if each in entry.over else "" for each in shown]
    return f"{entry.selector:{name}}" + "".join(f"{each:>22}" for each in over) + f"{len(entry.seeds):>7}"
