"""Students that learn side by side: the one place where episodes meet the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.distill.distiller import last_layer_gradient
from l2a_gym.distill.students import Students
from l2a_gym.envs.episode import Episode
from l2a_gym.envs.lane import Lane
from l2a_gym.envs.observe import TensorObservation, observe
from l2a_gym.envs.reward import Scores, score_each
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World


class Lanes:
    """E lanes and their E students; every pass is one for all.

    Args:
        setup: the environment's.
        world: its texts.
        number: E.

    Attributes:
        gradients: (E, C, H) dev gradient at each student's last layer, as of its last pass over dev.
    """

    gradients: Tensor

    def __init__(self, setup: Setup, world: World, number: int) -> None:
        self.lanes = [Lane(setup, world) for _ in range(number)]
        self.students: Students = setup.new_students(world, number)
        self.setup, self.world = setup, world

    @property
    def episodes(self) -> list[Episode]:
        """Each lane's episode."""
        return [lane.begun() for lane in self.lanes]

    def reset(self, which: Sequence[int]) -> None:
        """Begin new episodes in some lanes, each drawn from its lane's random stream."""
        self.students.reset(which, [self.lanes[i].draw_head() for i in which])
        scores, gradients = self._judge()
        for i in which:
            self.lanes[i].begin(scores[i])
        self._keep(gradients, np.isin(np.arange(len(self.lanes)), which))

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
        due = np.array([lane.due for lane in self.lanes])
        scores: list[Scores | None] = [None] * len(self.lanes)
        if due.any():
            judged, gradients = self._judge()
            self._keep(gradients, due)
            scores = [each if own else None for each, own in zip(judged, due, strict=True)]
        each = zip(self.lanes, weights, losses.tolist(), scores, controls, strict=True)
        return [lane.finish(*booked) for lane, *booked in each]

    def observe(self) -> TensorObservation:
        """The observations of all lanes, (E, ...) on the device."""
        outputs = self.students.look(*self.shown(), self.setup.updates)
        return observe(self.world, self.setup, outputs, self.episodes, self.gradients)

    def shown(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The candidates (E, N) and anchors of the next step."""
        return np.stack([each.rows for each in self.episodes]), np.stack([each.anchors for each in self.episodes])

    def _distil(self, weights: NDArray[np.float32]) -> Tensor:
        rows, anchors = self.shown()
        rates = np.array([lane.rate for lane in self.lanes])
        given = torch.from_numpy(weights).to(self.students.device)
        return self.students.step(rows, given, anchors, self.setup.updates, rates)

    def _control_gains(self) -> list[float]:
        """What uniform weights gain from these states on these candidates; the students are left as they were."""
        numbers = range(len(self.lanes))
        before = [self.students.state(i) for i in numbers]
        self._distil(np.ones((len(self.lanes), self.setup.candidates), dtype=np.float32))
        gains = [lane.control_gain(scores) for lane, scores in zip(self.lanes, self._judge()[0], strict=True)]
        for i in numbers:
            self.students.restore(before[i], i)
        return gains

    def _judge(self) -> tuple[list[Scores], Tensor]:
        """Each student's scores on dev, and its dev gradient."""
        outputs, label = self.students.dev_pass(), self.world.dev.label
        return score_each(outputs.logits, label), last_layer_gradient(outputs, label)

    def _keep(self, gradients: Tensor, which: NDArray[np.bool_]) -> None:
        """Take the new gradients of some students."""
        if which.all():
            self.gradients = gradients
        else:
            self.gradients = torch.where(self._mask(which), gradients, self.gradients)

    def _mask(self, which: NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(which).to(self.students.device)[:, None, None]
