"""A selector's training on a metered budget, on one thread, and what is kept of it on the way."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from l2a_agents.selector import Selector

from l2a_gym.cache import damaged, own_folder, write_folder
from l2a_gym.distill.device import one_thread
from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.meter import Meter

log = logging.getLogger(__name__)

LOOKS = (0.25, 0.5)
"""Shares of the budget at which a selector is kept, to see later what it was worth by then."""

Spent = Callable[[int, Mapping[str, float]], None]
"""Called as ``spent(units, figures)``, the units as the meter counted them."""


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
    make_env = meter.around(adapter.make_env(**type(selector).env_options))
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
        """Units spent -> where the selector lies as it was then; what was damaged since is passed over."""
        kept = {}
        for units, path in self._folders().items():
            if damaged(path):
                log.warning("%s is damaged: the curve is drawn without it", path)
            else:
                kept[units] = path
        return kept

    def rewind(self, spent: int) -> None:
        """Go on from so many units: what was kept later is of a training that was stopped and is repeated."""
        self.due = [units for units in self.due if units > spent]
        for units, path in self._folders().items():
            if units > spent and own_folder(path):
                shutil.rmtree(path)

    def _folders(self) -> dict[int, Path]:
        found = {int(path.name): path for path in self.folder.glob("*") if path.name.isdecimal()}
        return dict(sorted(found.items()))
