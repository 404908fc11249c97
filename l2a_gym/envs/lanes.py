"""Students that learn side by side: the one place where episodes meet the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from l2a_gym.distill.crew import Crew
from l2a_gym.distill.forward import Outputs
from l2a_gym.envs.lane import Lane
from l2a_gym.envs.observe import Observation
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World


class Lanes:
    """E lanes and the crew of their E students; every pass is one for all.

    Args:
        setup: the environment's.
        world: its texts.
        number: E.
    """

    def __init__(self, setup: Setup, world: World, number: int) -> None:
        self.lanes = [Lane(setup, world) for _ in range(number)]
        self.crew: Crew = world.new_crew(setup.distillation, number)
        self.setup, self.world = setup, world

    def reset(self, which: Sequence[int]) -> None:
        """Begin new episodes in some lanes, each drawn from its lane's random stream."""
        for i in which:
            self.crew.reset(self.lanes[i].draw_head(), i)
        passes = self._dev_passes()
        for i in which:
            self.lanes[i].begin(passes[i])

    def step(self, actions: Sequence[NDArray[np.float32]]) -> list[tuple[float, bool]]:
        """Distil each lane's student on what its action chose; an action that is not valid changes nothing.

        Returns:
            For each lane the reward, and whether its episode is over.

        Raises:
            UserError: an action of a wrong shape, or with a value that is not finite.
            ResetNeeded: before the first reset, or after the end of an episode.
        """
        checked = [lane.check(action) for lane, action in zip(self.lanes, actions, strict=True)]
        weights = np.stack([lane.weigh(action) for lane, action in zip(self.lanes, checked, strict=True)])
        controls = self._control_gains() if self.setup.control else [0.0] * len(self.lanes)
        losses = self._distil(weights)
        due = [lane.due for lane in self.lanes]
        passes = self._dev_passes() if any(due) else []
        return [
            lane.finish(weights[i], losses[i], passes[i] if due[i] else None, controls[i])
            for i, lane in enumerate(self.lanes)
        ]

    def observe(self) -> list[Observation]:
        """Each lane's observation."""
        looks = self.crew.look(*self.shown(), self.setup.updates)
        return [lane.observe(look) for lane, look in zip(self.lanes, looks, strict=True)]

    def _distil(self, weights: NDArray[np.float32]) -> list[float]:
        rows, anchors = self.shown()
        rates = [lane.rate for lane in self.lanes]
        return self.crew.step(rows, self._tensor(list(weights)), anchors, self.setup.updates, rates)

    def shown(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates (E, N) and anchors of the next step."""
        begun = [lane.begun() for lane in self.lanes]
        return self._tensor([each.rows for each in begun]), self._tensor([each.anchors for each in begun])

    def _control_gains(self) -> list[float]:
        """What uniform weights gain from these states on these candidates; the students are left as they were."""
        numbers = range(len(self.lanes))
        before = [self.crew.state(i) for i in numbers]
        self._distil(np.ones((len(self.lanes), self.setup.candidates), dtype=np.float32))
        gains = [lane.control_gain(dev) for lane, dev in zip(self.lanes, self._dev_passes(), strict=True)]
        for i in numbers:
            self.crew.restore(before[i], i)
        return gains

    def _dev_passes(self) -> list[Outputs]:
        return self.crew.read(self.world.dev.tokens)

    def _tensor(self, rows: Sequence[NDArray[np.int64]] | Sequence[NDArray[np.float32]]) -> torch.Tensor:
        return torch.from_numpy(np.stack(rows)).to(self.crew.device)
