"""Vector environments of gymnasium for Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn


class GymnasiumVecEnv(VecEnv):
    """A vector environment whose episodes begin anew in the step in which they end.

    Example:
        >>> envs = gym.make_vec("l2a_gym:L2A-Distill-v0", num_envs=8)
        >>> PPO("MultiInputPolicy", GymnasiumVecEnv(envs)).learn(1000)

    Args:
        envs: in the mode ``SAME_STEP``.

    Raises:
        ValueError: another mode.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"autoreset_mode = {mode}: Stable-Baselines3 needs AutoresetMode.SAME_STEP")
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin all episodes, with the seeds that :meth:`seed` gave."""
        seeds = None if self._seeds[0] is None else list(self._seeds)
        observations, infos = self.envs.reset(seed=seeds)  # type: ignore[arg-type]  # gymnasium's stubs leave out lists
        self.reset_infos = [self._info(infos, i) for i in range(self.num_envs)]
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for :meth:`step_wait`."""
        self.actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step; the info of an episode that ended is its last, with ``terminal_observation``."""
        observations, rewards, terminated, truncated, infos = self.envs.step(self.actions)
        ended = terminated | truncated
        each = [self._last(infos, i) if ended[i] else self._info(infos, i) for i in range(self.num_envs)]
        for i in range(self.num_envs):
            each[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observations, np.asarray(rewards, dtype=np.float32), ended, each

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the vector environment, which all share."""
        return [getattr(self.envs, attr_name)] * len(self._rows(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not possible: the environments are one."""
        raise AttributeError(f"{attr_name!r} can't be set: the environments of a {type(self.envs).__name__} are one")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Not possible: the environments are one."""
        kind = type(self.envs).__name__
        raise AttributeError(f"{method_name!r} can't be called: the environments of a {kind} are one")

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        """None is."""
        return [False] * len(self._rows(indices))

    def _rows(self, indices: VecEnvIndices) -> Sequence[int]:
        return list(self._get_indices(indices))

    def _last(self, infos: dict[str, Any], i: int) -> dict[str, Any]:
        """What the episode of environment i ended with."""
        final = infos["final_obs"]
        seen = {name: part[i] for name, part in final.items()} if isinstance(final, dict) else final[i]
        return self._info(infos["final_info"], i) | {"terminal_observation": seen}

    @staticmethod
    def _info(infos: dict[str, Any], i: int) -> dict[str, Any]:
        """Environment i's part of the infos that it gave."""
        present = np.ones(i + 1, dtype=np.bool_)
        return {
            name: values[i].item() if isinstance(values[i], np.generic) else values[i]
            for name, values in infos.items()
            if not name.startswith(("_", "final_")) and infos.get(f"_{name}", present)[i]
        }
