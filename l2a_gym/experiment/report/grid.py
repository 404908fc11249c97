"""Which runs are there, which failed and which are missing: a grid of selectors and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.wording import listed
from l2a_gym.experiment.rows import Failure, Key


@dataclass(frozen=True)
class Place:
    """A selector at a seed.

    Attributes:
        done: tasks on which it has a row.
        failed: tasks on which its run failed.
        missing: all other tasks.
    """

    done: tuple[str, ...]
    failed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def sign(self) -> str:
        """A dot for all tasks, a dash for none, else how many; failures with a cross."""
        all_done = not self.failed and not self.missing
        some = "\N{BLACK CIRCLE}" if all_done else f"{len(self.done)}" if self.done else ""
        crosses = f"\N{BALLOT X}{len(self.failed)}" if self.failed else ""
        return " ".join(filter(None, [some, crosses])) or "\N{EN DASH}"

    @property
    def text(self) -> str:
        """The same in words."""
        named = {"failed": self.failed, "missing": self.missing}
        return "; ".join(f"{what}: {listed(tasks)}" for what, tasks in named.items() if tasks) or "complete"


@dataclass(frozen=True)
class Grid:
    """Places by selector, one for each of ``seeds``."""

    seeds: tuple[int, ...]
    places: dict[str, tuple[Place, ...]]


def grid(found: Leaderboard, failures: Sequence[Failure]) -> Grid:
    """All selectors and seeds of some rows and of the runs that failed, which have no row."""
    failed = {each.key for each in failures}
    seeds = tuple(sorted({*found.seeds, *(key.seed for key in failed)}))
    selectors = dict.fromkeys([*found.cells, *(each.selector for each in failures)])
    return Grid(seeds, {name: tuple(_place(found, failed, name, seed) for seed in seeds) for name in selectors})


def _place(found: Leaderboard, failed: set[Key], selector: str, seed: int) -> Place:
    tasks = dict.fromkeys([*found.tasks, *(key.task for key in sorted(failed) if key[1:] == (selector, seed))])
    done = tuple(task for task in tasks if Key(task, selector, seed) in found.keys)
    crossed = tuple(task for task in tasks if Key(task, selector, seed) in failed)
    return Place(done, crossed, tuple(task for task in tasks if task not in done and task not in crossed))
