"""Rules by exact metagradients: ``influence`` with the derivative of dev's loss as credit.

The credit of candidate i in step t is c_ti = -d(last dev nll) / d(weight of i in step t), by reverse mode through all
of the student's updates (Ren et al., 2018; Engstrom et al., 2025), which the environment's ``metagradient`` computes. A
student that diverged says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from l2a_agents.credit import Floats
from l2a_agents.influence import Influence, Player
from l2a_agents.rollout import Transition
from l2a_agents.selector import spent


class Metagradient(Influence):
    """Fixed rules and rules in the direction of the exact derivative, by what they gain."""

    file = "metagradient.json"

    def check(self, env: gym.Env[Any, Any]) -> None:
        """Refuse an environment without the method.

        Raises:
            ValueError: it has none.
        """
        if not env.has_wrapper_attr("metagradient"):
            raise ValueError(f"metagradient needs an environment with the method metagradient(); {env} has none")

    def credit(self, player: Player, steps: Sequence[Transition], seed: int) -> Floats:
        """-d(last dev nll) / d(weight), (T, N)."""
        actions = np.stack([step.action for step in steps])
        if len(steps) < self.spaces.steps:
            return np.zeros(actions.shape)
        player.env.reset(seed=seed)
        gradient, info = player.env.get_wrapper_attr("metagradient")(actions)
        player.spent += int(spent(info))
        return np.nan_to_num(-np.asarray(gradient, dtype=np.float64), posinf=0, neginf=0)
