"""``L2A-Distill-v0`` many times over: E students learn side by side as one model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.envs.lanes import Lanes
from l2a_gym.envs.observe import Observation, TensorObservation
from l2a_gym.envs.setup import Setup
from l2a_gym.errors import UserError, check_least


class DistillAugVectorEnv(VectorEnv[Any, Any, Any]):
    """E environments like :class:`~l2a_gym.envs.distill_aug.DistillAugEnv` whose students are one batched model.

    Each gives what it gives alone from the same seed, up to rounding.

    Args:
        num_envs: E.
        autoreset_mode: ``SAME_STEP``: an episode that ends begins anew in the same step, and what it ended with is in
            ``infos["final_obs"]`` and ``infos["final_info"]``. ``DISABLED``: it has to be reset before the next step,
            ``options={"reset_mask": ended}``.
        device_observations: give observations as torch tensors on the students' device, and take actions as such.
        settings: arguments of the single environment but for ``render_mode``.

    Raises:
        UserError: as there, or fewer than one environment.
    """

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        *,
        device_observations: bool = False,
        **settings: Any,
    ) -> None:
        check_least("num_envs", num_envs)
        if autoreset_mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise UserError(f"autoreset_mode = {autoreset_mode}: valid are SAME_STEP and DISABLED of AutoresetMode")
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": []}
        self.num_envs, self.device_observations = num_envs, device_observations
        self.setup = Setup(**settings)
        self.columns, self.candidates, self.steps = self.setup.columns, self.setup.candidates, self.setup.steps
        self.single_observation_space, self.single_action_space = self.setup.observation_space, self.setup.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @cached_property
    def lanes(self) -> Lanes:
        """The lanes; the first use loads and, where needed, prepares the task."""
        return Lanes(self.setup, self.setup.load_world(), self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation | TensorObservation, dict[str, Any]]:
        """Begin an episode in all environments, or in some.

        Args:
            seed: of each environment; a number n gives them n, n + 1, ...; None lets their random streams go on.
            options: ``reset_mask``, (E,) bool, says in which; the others go on with theirs.
        """
        which = np.flatnonzero((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))).tolist()
        if seed is None or isinstance(seed, int):
            seed = [None if seed is None else seed + i for i in range(self.num_envs)]
        for i in which:
            if (own := seed[i]) is not None:
                self.lanes.lanes[i].random, _ = seeding.np_random(own)
        self.lanes.reset(which)
        return self._observe(), self._infos(which)

    def step(
        self, actions: NDArray[np.float32] | Tensor
    ) -> tuple[
        Observation | TensorObservation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Distil each student on what its action (E, ...) chose.

        Raises:
            UserError: an action of a wrong shape, or with a value that is not finite; no student has learnt then.
            ResetNeeded: before the first reset.
        """
        given = actions.cpu().numpy() if isinstance(actions, Tensor) else actions
        rewards, over = map(np.array, zip(*self.lanes.step(list(given)), strict=True))
        observations, infos = self._observe(), self._infos(range(self.num_envs))
        if over.any() and self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
            observations, infos = self._begin_anew(np.flatnonzero(over).tolist(), observations)
        return observations, rewards, over, np.zeros_like(over), infos

    def _begin_anew(
        self, over: list[int], last: Observation | TensorObservation
    ) -> tuple[Observation | TensorObservation, dict[str, Any]]:
        final: dict[str, Any] = {"final_info": self._infos(over)}
        for i in over:
            final = self._add_info(final, {"final_obs": {name: each[i] for name, each in last.items()}}, i)
        final["_final_info"] = final["_final_obs"].copy()
        self.lanes.reset(over)
        return self._observe(), self._infos(range(self.num_envs)) | final

    def _observe(self) -> Observation | TensorObservation:
        found = self.lanes.observe()
        return found if self.device_observations else {name: each.cpu().numpy() for name, each in found.items()}

    def _infos(self, which: Sequence[int]) -> dict[str, Any]:
        """The infos of some environments, as gymnasium's vector environments give them: arrays (E,) and masks."""
        each = [self.lanes.lanes[i].info() for i in which]
        present = np.zeros(self.num_envs, dtype=np.bool_)
        present[list(which)] = True
        infos: dict[str, Any] = {}
        for name in each[0] if each else ():
            values = np.array([info[name] for info in each])
            infos[name] = np.zeros(self.num_envs, dtype=values.dtype)
            infos[name][present] = values
            infos[f"_{name}"] = present.copy()
        return infos
