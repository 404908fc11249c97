"""A selector's training on a metered budget, on one thread, and what is kept of it on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from l2a_agents.selector import Selector

from l2a_gym.cache import own_folder, write_folder
from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.meter import Meter

LOOKS = (0.25, 0.5)
"""Shares of the budget at which a selector is kept, to see later what it was worth by then."""

Spent = Callable[[int, Mapping[str, float]], None]
"""Called as ``spent(units, figures)``, the units as the meter counted them."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: products of small students are no faster on more, and sums come out alike everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def train(adapter: TaskAdapter, selector: Selector, budget: int, seed: int, spent: Spent, num_envs: int = 1) -> int:
    """Train a selector until the budget of student updates and dev passes is spent; returns what was spent.

    Args:
        adapter: of the task.
        selector: learns.
        budget: in units.
        seed: of the training.
        spent: is told whenever the selector reports.
        num_envs: students that learn side by side.
    """
    meter = Meter()
    make_env = meter.around(adapter.make_env(**selector.env_options))
    selector.train(make_env, budget, seed, lambda _, figures: spent(meter.spent, figures), num_envs)
    return meter.spent


class Snapshots:
    """A selector as it was when :data:`LOOKS` of the budget were spent.

    Args:
        folder: where they lie, each in a folder named after what was spent by then.
        selector: is saved.
        budget: in units.
    """

    def __init__(self, folder: Path, selector: Selector, budget: int) -> None:
        self.folder, self.selector = folder, selector
        self.due = [share * budget for share in LOOKS]

    def __call__(self, spent: int, figures: Mapping[str, float]) -> None:
        """Keep the selector, if it is time."""
        if not self.due or spent < self.due[0]:
            return
        while self.due and spent >= self.due[0]:
            self.due.pop(0)
        write_folder(self.folder / str(spent), self.selector.save)

    def kept(self) -> dict[int, Path]:
        """Units spent -> where the selector lies as it was then."""
        return {int(path.name): path for path in sorted(self.folder.glob("[0-9]*"), key=lambda path: int(path.name))}

    def clear(self) -> None:
        """Forget those of an earlier training, for one that begins anew."""
        for path in self.kept().values():
            if own_folder(path):
                shutil.rmtree(path)
