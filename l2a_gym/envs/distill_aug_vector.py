"""``L2A-Distill-v0`` many times over: E students learn side by side as one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.config import plain
from l2a_gym.envs.action import check_action
from l2a_gym.envs.arguments import Described, takes
from l2a_gym.envs.batch import Batch
from l2a_gym.envs.observation import Observation
from l2a_gym.envs.observe import TensorObservation
from l2a_gym.envs.setup import Arguments, Setup
from l2a_gym.envs.viewer import RENDER
from l2a_gym.errors import UserError, brief, check_least
from l2a_gym.tasks.task import Texts

MODES = tuple(mode.value for mode in AutoresetMode)


@dataclass(frozen=True, kw_only=True)
class VectorArguments(Arguments):
    """The arguments of :class:`DistillAugVectorEnv`, which explains them."""

    num_envs: int = 1
    autoreset_mode: AutoresetMode | Annotated[str, MODES] = AutoresetMode.SAME_STEP
    device_observations: bool = False
    max_episode_steps: int | None = None


class DistillAugVectorEnv(Described, VectorEnv[Any, Any, Any]):
    """E environments like :class:`~l2a_gym.envs.distill_aug.DistillAugEnv` whose students are one batched model.

    Each gives what it gives alone from the same seed, up to rounding. It takes the same arguments, and its own.

    Args:
        num_envs: E.
        autoreset_mode: one of ``AutoresetMode``, or its value. ``SAME_STEP``: an episode that ends begins anew in the
            same step; what it ended with is in ``infos["final_obs"]`` and ``infos["final_info"]``. ``NEXT_STEP``: it
            begins anew in the next step, which has reward 0 and ignores the action. ``DISABLED``: it has to be reset
            before the next step, ``options={"reset_mask": ended}``.
        device_observations: give observations as torch tensors on the students' device, and take actions as such.
        max_episode_steps: an episode is truncated after so many steps, as ``gym.make`` does it; None for never.

    Raises:
        UserError: as there, or fewer than one environment.
    """

    @takes(VectorArguments)
    def __init__(self, arguments: VectorArguments) -> None:
        check_least("num_envs", arguments.num_envs)
        if arguments.max_episode_steps is not None:
            check_least("max_episode_steps", arguments.max_episode_steps)
        self.num_envs, self.render_mode = arguments.num_envs, arguments.render_mode
        self.device_observations, self.max_episode_steps = arguments.device_observations, arguments.max_episode_steps
        self.autoreset_mode = AutoresetMode(arguments.autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.setup = Setup(arguments)
        self.columns, self.candidates, self.steps = self.setup.columns, self.setup.candidates, self.setup.steps
        self.single_observation_space, self.single_action_space = self.setup.observation_space, self.setup.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._streams = [seeding.np_random() for _ in range(self.num_envs)]
        self._over = np.zeros(self.num_envs, dtype=np.bool_)

    @cached_property
    def batch(self) -> Batch:
        """The sub-environments; the first use loads and, where needed, prepares the task."""
        return Batch(self.setup, self.setup.load_world(), self.num_envs)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random stream of each environment."""
        return tuple(stream for stream, _ in self._streams)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each environment's random stream."""
        return tuple(seed for _, seed in self._streams)

    def shown(self) -> NDArray[np.int64]:
        """Rows (E, N) of the candidates shown, see :meth:`DistillAugEnv.shown`."""
        return self.batch.shown()[0]

    def texts(self, rows: NDArray[np.int64]) -> Texts:
        """See :meth:`DistillAugEnv.texts`."""
        return self.batch.world.prepared.texts(rows)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation | TensorObservation, dict[str, Any]]:
        """Begin an episode in all environments, or in some.

        Args:
            seed: of each environment; a number n gives them n, n + 1, ...; None lets their random streams go on.
            options: ``reset_mask``, a numpy array (E,) of bool, says in which; the others go on with theirs. Others are
                those of :meth:`DistillAugEnv.reset`; episodes that begin by themselves have their defaults.

        Raises:
            UserError: seeds or options that are not valid.
            ResetNeeded: an environment that the mask leaves out has no episode to go on with.
        """
        seeds, mask = self._seeds(seed), self._mask(options)
        for i in np.flatnonzero(~mask).tolist():
            self.batch.envs[i].begun()
        for i in np.flatnonzero(mask).tolist():
            if (own := seeds[i]) is not None:
                self._streams[i] = seeding.np_random(own)
        self._begin(mask, options)
        return self._observe(), self._infos(mask)

    def _seeds(self, seed: object) -> list[int | None]:
        given = plain(seed)
        if given is None or type(given) is int:
            given = [None if given is None else given + i for i in range(self.num_envs)]
        valid = isinstance(given, list) and len(given) == self.num_envs
        if not (valid and all(each is None or (type(each) is int and each >= 0) for each in given)):
            raise UserError(
                f"seed = {brief(seed)}: valid are None, a whole number from 0, or a list of {self.num_envs} of these"
            )
        return given

    def _mask(self, options: dict[str, Any] | None) -> NDArray[np.bool_]:
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        array = isinstance(mask, np.ndarray) and mask.shape == (self.num_envs,) and mask.dtype == np.bool_
        if not (array and mask.any()):
            raise UserError(
                f"reset_mask = {brief(mask)}: valid is a numpy array of {self.num_envs} bool, at least one of them True"
            )
        return mask

    def _begin(self, mask: NDArray[np.bool_], options: dict[str, Any] | None = None) -> None:
        """Begin an episode in some environments, each drawn from its random stream."""
        which = np.flatnonzero(mask).tolist()
        for i in which:
            self.batch.envs[i].random, _ = self._streams[i]
        self.batch.reset(which, options)
        self._over = self._over & ~mask

    def step(
        self, actions: NDArray[np.float32] | Tensor
    ) -> tuple[
        Observation | TensorObservation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Distil each student on what its action (E, ...) chose.

        Raises:
            UserError: no numbers, a wrong shape, or a value that is not finite; nothing has changed then.
            ResetNeeded: before the first reset; with ``DISABLED``, after the end of an episode.
        """
        checked = check_action(actions, self.action_space)
        over, rewards = self._over, np.zeros(self.num_envs)
        if over.any() and self.autoreset_mode is AutoresetMode.DISABLED:
            ended = ", ".join(map(str, np.flatnonzero(over)))
            raise ResetNeeded(f"the episodes of {ended} are over: reset them, with options = {{'reset_mask': ...}}")
        terminated = np.zeros_like(over)
        if not over.all():
            rewards[~over], terminated[~over] = zip(*self.batch.step(checked, ~over), strict=True)
        if over.any():
            self._begin(over)
        limit = self.max_episode_steps or np.inf
        truncated = np.array([episode.t >= limit for episode in self.batch.episodes])
        self._over = terminated | truncated
        observations, infos = self._observe(), self._infos(np.ones_like(over))
        if self._over.any() and self.autoreset_mode is AutoresetMode.SAME_STEP:
            observations, infos = self._begin_anew(self._over, observations)
        return observations, rewards, terminated, truncated, infos

    def _begin_anew(
        self, over: NDArray[np.bool_], last: Observation | TensorObservation
    ) -> tuple[Observation | TensorObservation, dict[str, Any]]:
        final: dict[str, Any] = {"final_info": self._infos(over)}
        for i in np.flatnonzero(over).tolist():
            final = self._add_info(final, {"final_obs": {name: each[i] for name, each in last.items()}}, i)
        final["_final_info"] = final["_final_obs"].copy()
        self._begin(over)
        return self._observe(), self._infos(np.ones_like(over)) | final

    def render(self) -> tuple[Any, ...] | None:
        """A picture or a text of each environment, see :meth:`DistillAugEnv.render`."""
        if self.render_mode is None:
            return None
        draw, setup = RENDER[self.render_mode], self.setup
        return tuple(draw(setup.domains, setup.operators, each) for each in self.batch.episodes)

    def _observe(self) -> Observation | TensorObservation:
        found = self.batch.observe()
        return found if self.device_observations else {name: each.cpu().numpy() for name, each in found.items()}

    def _infos(self, mask: NDArray[np.bool_]) -> dict[str, Any]:
        """The infos of some environments, as gymnasium's vector environments give them: arrays (E,) and masks."""
        each = [self.batch.envs[i].info() for i in np.flatnonzero(mask)]
        infos: dict[str, Any] = {}
        for name in each[0]:
            values = np.array([info[name] for info in each])
            infos[name] = np.zeros(self.num_envs, dtype=values.dtype)
            infos[name][mask] = values
            infos[f"_{name}"] = mask.copy()
        return infos
