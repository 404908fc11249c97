"""One environment for selectors that look at different features: each sees the columns that it asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from l2a_gym.envs.observation import Observation

AT_HAND = ("label_share", "cross_fitted_label", "plausible", "clean")
"""Features on request that take no time to show."""


class ShownColumns(gym.ObservationWrapper[Any, Any, Any]):
    """Shows the candidates' columns of some features alone.

    Args:
        env: shows these features, and maybe others.
        features: their names.

    Attributes:
        columns: names of the columns that are left.
    """

    def __init__(self, env: gym.Env[Any, Any], features: Collection[str]) -> None:
        super().__init__(env)
        columns: tuple[str, ...] = env.get_wrapper_attr("columns")
        self._where = [i for i, name in enumerate(columns) if name.partition("=")[0] in features]
        self.columns = tuple(columns[i] for i in self._where)
        whole = env.observation_space
        assert isinstance(whole, spaces.Dict)
        box = whole["candidates"]
        assert isinstance(box, spaces.Box)
        shown = spaces.Box(box.low[:, self._where], box.high[:, self._where], dtype=np.float32)
        self.observation_space = spaces.Dict({**whole, "candidates": shown})

    def observation(self, observation: Observation) -> Observation:
        """The same with fewer columns."""
        return {**observation, "candidates": observation["candidates"][:, self._where]}
