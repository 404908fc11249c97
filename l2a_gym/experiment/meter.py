"""Equal budgets: what training spends is counted around the environments, whatever a selector says of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from l2a_agents.selector import MakeEnv, Wrappers, spent
from numpy.typing import NDArray


class Meter:
    """Student updates and dev passes of all environments that were made through :meth:`around`, forks included.

    Attributes:
        spent: their number so far.
    """

    def __init__(self) -> None:
        self.spent = 0

    def around(self, make_env: MakeEnv) -> MakeEnv:
        """Makes the same environments, metered."""
        return make_env.wrapped(Wrappers(partial(MeteredEnv, meter=self), partial(MeteredVectorEnv, meter=self)))


class MeteredEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Counts what an environment spends."""

    def __init__(self, env: gym.Env[Any, Any], meter: Meter) -> None:
        super().__init__(env)
        self.meter, self.before = meter, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode."""
        observation, info = super().reset(seed=seed, options=options)
        self.before = 0
        self._count(info)
        return observation, info

    def step(self, action: Any) -> Any:
        """Take a step."""
        result = super().step(action)
        self._count(result[4])
        return result

    @property
    def metagradient(self) -> Callable[..., Any]:
        """The environment's own, counted; one that has none has none here.

        Raises:
            AttributeError: it has none.
        """
        own = self.env.get_wrapper_attr("metagradient")

        def counted(*args: Any, **kwargs: Any) -> Any:
            gradient, info = own(*args, **kwargs)
            self._count(info)
            return gradient, info

        return counted

    def save_state(self) -> tuple[Any, int]:
        """A copy of this moment."""
        return self.env.get_wrapper_attr("save_state")(), self.before

    def restore_state(self, state: tuple[Any, int]) -> None:
        """Go back to a moment; what was spent since stays counted."""
        moment, self.before = state
        self.env.get_wrapper_attr("restore_state")(moment)

    def fork(self) -> MeteredEnv:
        """A second environment at the same moment, counted by the same meter."""
        twin = MeteredEnv(self.env.get_wrapper_attr("fork")(), self.meter)
        twin.before = self.before
        return twin

    def _count(self, info: dict[str, Any]) -> None:
        now = int(spent(info))
        if now < self.before:
            raise RuntimeError(
                "the environment went back to a moment uncounted: call env.get_wrapper_attr('restore_state'), "
                "not env.unwrapped.restore_state"
            )
        self.meter.spent += now - self.before
        self.before = now


class MeteredVectorEnv(VectorWrapper):
    """Counts what environments that step together spend."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], meter: Meter) -> None:
        super().__init__(envs)
        self.meter, self.before = meter, np.zeros(envs.num_envs, dtype=np.int64)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        """Begin episodes."""
        which = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        observations, infos = super().reset(seed=seed, options=options)
        self.before[which] = 0
        self._count(infos, which)
        return observations, infos

    def step(self, actions: NDArray[np.float32]) -> Any:
        """Take a step."""
        result = super().step(actions)
        self._count(result[4], np.ones(self.num_envs, dtype=np.bool_))
        return result

    def _count(self, infos: dict[str, Any], which: NDArray[np.bool_]) -> None:
        now = spent(infos)[which]
        self.meter.spent += int((now - self.before[which]).sum())
        self.before[which] = now
