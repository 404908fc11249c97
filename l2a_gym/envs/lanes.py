"""Students that learn side by side: the one place where episodes meet the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Outputs
from l2a_gym.envs.lane import Lane
from l2a_gym.envs.observe import Observation
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World


class Lanes:
    """E lanes and the distiller of their E students; every pass is one for all.

    Args:
        setup: the environment's.
        world: its texts.
        number: E.
    """

    def __init__(self, setup: Setup, world: World, number: int) -> None:
        self.lanes = [Lane(setup, world) for _ in range(number)]
        self.distiller: Distiller = world.new_distiller(setup.distillation, number)
        self.setup = setup
        self._dev = Tokens.cat([world.dev.tokens] * number)

    def reset(self, which: Sequence[int]) -> None:
        """Begin new episodes in some lanes, each drawn from its lane's random stream."""
        for i in which:
            self.distiller.reset(self.lanes[i].draw_head(), i)
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
        looks = self.distiller.look(self._tensor([lane.begun().rows for lane in self.lanes]))
        return [lane.observe(look) for lane, look in zip(self.lanes, looks, strict=True)]

    def _distil(self, weights: NDArray[np.float32]) -> list[float]:
        rows, anchors = (
            self._tensor([getattr(lane.begun(), name) for lane in self.lanes]) for name in ("rows", "anchors")
        )
        rates = [lane.rate for lane in self.lanes]
        return self.distiller.step(rows, self._tensor(list(weights)), anchors, self.setup.updates, rates)

    def _control_gains(self) -> list[float]:
        """What uniform weights gain from these states on these candidates; the students are left as they were."""
        numbers = range(len(self.lanes))
        before = [self.distiller.state(i) for i in numbers]
        self._distil(np.ones((len(self.lanes), self.setup.candidates), dtype=np.float32))
        gains = [lane.control_gain(dev) for lane, dev in zip(self.lanes, self._dev_passes(), strict=True)]
        for i in numbers:
            self.distiller.restore(before[i], i)
        return gains

    def _dev_passes(self) -> list[Outputs]:
        return self.distiller.outputs(self._dev)

    def _tensor(self, rows: Sequence[NDArray[np.int64]] | Sequence[NDArray[np.float32]]) -> torch.Tensor:
        return torch.from_numpy(np.stack(rows)).to(self.distiller.device)
