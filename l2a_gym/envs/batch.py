"""Students that learn side by side: the one place where episodes meet the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.data import Labelled
from l2a_gym.distill.gradients import last_layer_gradient
from l2a_gym.distill.metagradient import TapedDistiller
from l2a_gym.distill.regression import fit
from l2a_gym.distill.students import Students
from l2a_gym.envs.action import alphas_of, weights_of
from l2a_gym.envs.episode import Scores, TextEpisode
from l2a_gym.envs.observe import TensorObservation, observe
from l2a_gym.envs.reward import score_each
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.sub_environment import SubEnvironment
from l2a_gym.envs.world import ANCHORS, World
from l2a_gym.errors import check_choice

HEADS = ("drawn", "fitted")
"""Where a student's classifier begins: at values drawn from the seed, or at a logistic regression of the anchors."""


class Batch:
    """E envs and their E students; every pass is one for all.

    Args:
        setup: the environment's.
        world: its texts.
        number: E.

    Attributes:
        gradients: (E, C, H) dev gradient at each student's last layer, as of its last pass over dev; empty before the
            first reset.
    """

    def __init__(self, setup: Setup, world: World, number: int) -> None:
        self.envs = [SubEnvironment(setup, world) for _ in range(number)]
        self.students: Students = setup.new_students(world, number)
        self.setup, self.world = setup, world
        self.gradients = torch.empty(0)

    @property
    def episodes(self) -> list[TextEpisode]:
        """Each env's episode."""
        return [env.begun() for env in self.envs]

    def reset(self, which: Sequence[int], options: Mapping[str, Any] | None = None) -> None:
        """Begin new episodes in some envs, each drawn from its env's random stream.

        Args:
            which: the envs.
            options: ``anchors`` is one of :data:`~l2a_gym.envs.world.ANCHORS`, by default ``shots``; ``head`` one of
                :data:`HEADS`, by default ``drawn``.

        Raises:
            UserError: unknown anchors, or an unknown head; no episode has begun then.
        """
        options = options or {}
        anchors, head = options.get("anchors", "shots"), options.get("head", "drawn")
        check_choice("anchors", anchors, ANCHORS)
        check_choice("head", head, HEADS)
        self.students.reset(which, [self.envs[i].draw_head() for i in which])
        if head == "fitted":
            fitted = self._fitted(anchors, which[0])
            for i in which:
                self.students.load(fitted, i)
        scores, gradients = self._evaluate()
        for i in which:
            self.envs[i].begin(scores[i], anchors)
        self._keep(gradients, np.isin(np.arange(len(self.envs)), which))

    def step(self, actions: NDArray[np.float32], active: NDArray[np.bool_]) -> list[tuple[float, bool]]:
        """Distil students on what their envs' actions chose.

        Args:
            actions: (E, ...), as :func:`~l2a_gym.envs.action.check_action` gives them.
            active: (E,) the envs that take the step. The others' students learn as well, and have to be reset then.

        Returns:
            For each active env the reward, and whether its episode is over.

        Raises:
            ResetNeeded: before the first reset, or after the end of an episode; no student has learnt then.
        """
        which = np.flatnonzero(active).tolist()
        for i in which:
            self.envs[i].begun().check_going()
        weights = np.ones((len(self.envs), self.setup.candidates), dtype=np.float32)
        for i in which:
            weights[i] = self.envs[i].weigh(actions[i])
        baselines = self._baseline_gains() if self.setup.arguments.baseline else [0.0] * len(self.envs)
        losses = self._distil(weights, self._alphas(actions))
        due = active & [env.due for env in self.envs]
        scores: list[Scores | None] = [None] * len(self.envs)
        if due.any():
            evaluated, gradients = self._evaluate()
            self._keep(gradients, due)
            scores = [each if own else None for each, own in zip(evaluated, due, strict=True)]
        loss = losses.tolist()
        return [self.envs[i].finish(weights[i], loss[i], scores[i], baselines[i]) for i in which]

    def observe(self) -> TensorObservation:
        """The observations of all envs, (E, ...) on the device."""
        outputs = self.students.forward(*self.shown(), self.setup.updates)
        return observe(self.world, self.setup.columns, outputs, self.episodes, self.gradients)

    def metagradient(self, actions: NDArray[np.float32], dev: slice) -> NDArray[np.float32]:
        """See :meth:`~l2a_gym.envs.distill_aug.DistillAugEnv.metagradient`, of the only env."""
        (env,), student, texts = self.envs, deepcopy(self.students.student(0)), self.world.dev
        distiller = TapedDistiller(student, self.world.texts, self.setup.distillation)
        distiller.student.load_state_dict(self.students.student(0).state_dict())
        given, alphas = weights_of(actions[:, : self.setup.candidates]), self._alphas(actions)
        for t, (rows, anchors, rate) in enumerate(env.preview()):
            weights, *both = (torch.from_numpy(each).to(distiller.device) for each in (given[t], rows, anchors))
            own = None if alphas is None else alphas[t]
            distiller.step(both[0], weights, both[1], self.setup.updates, rate, own)
        which = torch.arange(len(texts.label), device=distiller.device)[dev]
        gradient = distiller.metagradient(Labelled(texts.tokens.take(which), texts.label[which]))
        return gradient.cpu().numpy()

    def shown(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The candidates (E, N) and anchors of the next step."""
        return np.stack([each.rows for each in self.episodes]), np.stack([each.anchors for each in self.episodes])

    def __reduce__(self) -> tuple[Callable[..., Batch], tuple[Setup, int], dict[str, Any]]:
        """Pickle what learning and drawing change; texts and students are made again from the setup."""
        return _open, (self.setup, len(self.envs)), self._moment()

    def __setstate__(self, moment: dict[str, Any]) -> None:
        self.gradients = moment["gradients"]
        for i, (env, own) in enumerate(zip(self.envs, moment["envs"], strict=True)):
            env.episode, env.random = own
            self.students.restore(moment["students"][i], i)

    def __deepcopy__(self, memo: dict[int, Any]) -> Batch:
        """Copy the same, with the same texts."""
        twin = Batch(self.setup, self.world, len(self.envs))
        twin.__setstate__(deepcopy(self._moment(), memo))
        return twin

    def _moment(self) -> dict[str, Any]:
        return {
            "gradients": self.gradients,
            "envs": [(env.episode, env.random) for env in self.envs],
            "students": [self.students.state(i) for i in range(len(self.envs))],
        }

    def _alphas(self, actions: NDArray[np.float32]) -> Tensor | None:
        """The candidates' alphas (n, N) by actions (n, 2N), on the device; None where actions say nothing of them."""
        if self.setup.arguments.action != "trust":
            return None
        alphas = alphas_of(actions[:, self.setup.candidates :], self.setup.distillation.alpha)
        return torch.from_numpy(alphas).to(self.students.device)

    def _distil(self, weights: NDArray[np.float32], alphas: Tensor | None = None) -> Tensor:
        rows, anchors = self.shown()
        rates = np.array([env.rate for env in self.envs])
        given = torch.from_numpy(weights).to(self.students.device)
        return self.students.step(rows, given, anchors, self.setup.updates, rates, alphas)

    def _baseline_gains(self) -> list[float]:
        """What uniform weights gain from these states on these candidates; the students are left as they were."""
        numbers = range(len(self.envs))
        before = [self.students.state(i) for i in numbers]
        self._distil(np.ones((len(self.envs), self.setup.candidates), dtype=np.float32))
        gains = [env.baseline_gain(scores) for env, scores in zip(self.envs, self._evaluate()[0], strict=True)]
        for i in numbers:
            self.students.restore(before[i], i)
        return gains

    def _fitted(self, anchors: str, i: int) -> PreTrainedModel:
        """A copy of student i, which is at its start, with a regression of the anchors as its classifier."""
        texts = self.world.texts.take(torch.tensor(self.world.anchors(anchors), device=self.students.device))
        head = fit(self.students.outputs(texts.tokens).pooled[i], texts.label, texts.teacher.shape[1], c=1.0)
        student = deepcopy(self.students.student(i))
        student.get_submodule("classifier").load_state_dict(vars(head))
        return student

    def _evaluate(self) -> tuple[list[Scores], Tensor]:
        """Each student's scores on dev, and its dev gradient."""
        outputs, label = self.students.dev_pass(), self.world.dev.label
        return score_each(outputs.logits, label), last_layer_gradient(outputs, label)

    def _keep(self, gradients: Tensor, which: NDArray[np.bool_]) -> None:
        """Take the new gradients of some students."""
        mask = torch.from_numpy(which).to(self.students.device)[:, None, None]
        self.gradients = gradients if which.all() else torch.where(mask, gradients, self.gradients)


def _open(setup: Setup, number: int) -> Batch:
    return Batch(setup, setup.load_world(), number)
