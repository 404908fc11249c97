"""Students that learn side by side: the one place where episodes meet the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

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
        gradients: (E, C, H) dev gradient at each student's last layer, as of its last pass over dev; empty before the
            first reset.
    """

    def __init__(self, setup: Setup, world: World, number: int) -> None:
        self.lanes = [Lane(setup, world) for _ in range(number)]
        self.students: Students = setup.new_students(world, number)
        self.setup, self.world = setup, world
        self.gradients = torch.empty(0)

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

    def step(self, actions: NDArray[np.float32], active: NDArray[np.bool_]) -> list[tuple[float, bool]]:
        """Distil students on what their lanes' actions chose.

        Args:
            actions: (E, ...), as :func:`~l2a_gym.envs.action.check_action` gives them.
            active: (E,) the lanes that take the step. The others' students learn as well, and have to be reset then.

        Returns:
            For each active lane the reward, and whether its episode is over.

        Raises:
            ResetNeeded: before the first reset, or after the end of an episode; no student has learnt then.
        """
        which = np.flatnonzero(active).tolist()
        for i in which:
            self.lanes[i].check_going()
        weights = np.ones((len(self.lanes), self.setup.candidates), dtype=np.float32)
        for i in which:
            weights[i] = self.lanes[i].weigh(actions[i])
        controls = self._control_gains() if self.setup.control else [0.0] * len(self.lanes)
        losses = self._distil(weights)
        due = active & [lane.due for lane in self.lanes]
        scores: list[Scores | None] = [None] * len(self.lanes)
        if due.any():
            judged, gradients = self._judge()
            self._keep(gradients, due)
            scores = [each if own else None for each, own in zip(judged, due, strict=True)]
        loss = losses.tolist()
        return [self.lanes[i].finish(weights[i], loss[i], scores[i], controls[i]) for i in which]

    def observe(self) -> TensorObservation:
        """The observations of all lanes, (E, ...) on the device."""
        outputs = self.students.look(*self.shown(), self.setup.updates)
        return observe(self.world, self.setup, outputs, self.episodes, self.gradients)

    def shown(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The candidates (E, N) and anchors of the next step."""
        return np.stack([each.rows for each in self.episodes]), np.stack([each.anchors for each in self.episodes])

    def __reduce__(self) -> tuple[Callable[..., Lanes], tuple[Setup, int], dict[str, Any]]:
        """Pickle what learning and drawing change; texts and students are made again from the setup."""
        return _open, (self.setup, len(self.lanes)), self._moment()

    def __setstate__(self, moment: dict[str, Any]) -> None:
        self.gradients = moment["gradients"]
        for i, (lane, own) in enumerate(zip(self.lanes, moment["lanes"], strict=True)):
            lane.episode, lane.random = own
            self.students.restore(moment["students"][i], i)

    def __deepcopy__(self, memo: dict[int, Any]) -> Lanes:
        """Copy the same, with the same texts."""
        twin = Lanes(self.setup, self.world, len(self.lanes))
        twin.__setstate__(deepcopy(self._moment(), memo))
        return twin

    def _moment(self) -> dict[str, Any]:
        return {
            "gradients": self.gradients,
            "lanes": [(lane.episode, lane.random) for lane in self.lanes],
            "students": [self.students.state(i) for i in range(len(self.lanes))],
        }

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


def _open(setup: Setup, number: int) -> Lanes:
    return Lanes(setup, setup.load_world(), number)
