"""A wrapper by which libraries act through the shared rule: a few numbers in the place of one for each candidate.

N independent outputs of a network have to learn N times what one rule says once, and none of them sees its candidate's
own row. Through the rule, the action is theta, and the observation is a summary that has no order of candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from l2a_agents.prior import prior_of
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions, summary, summary_space
from l2a_agents.selector import Spaces

Vector = NDArray[np.float32]


class RuleAction(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Acts in every step by theta = 4 a, with weights clip(p + theta . z / 2, -1, 1) of standardised columns z.

    Observation: ``Box(S,)``, mean and deviation over the candidates of each of their columns, then
    ``student`` and ``domains``. Action: ``Box(-1, 1, (H,))``, one entry a column of the rule; 0 is the prior p.
    Rewards are those of the environment.

    Example:
        >>> env = RuleAction(gym.make("l2a_gym:L2A-Toy-v0"))
        >>> model = PPO("MlpPolicy", env, gamma=1.0).learn(10_000)

    Args:
        env: ``L2A-Distill-v0`` with ``action="weights"``, or ``L2A-Toy-v0``.
        columns: names of the columns that the rule looks at.
        prior: the fixed rule whose weights are p; empty: 1/2 for all. Those that look at the cross-fitted teacher or at
            confident learning need ``features=["*", "label_share", "cross_fitted_label", "plausible"]`` of the
            environment.

    Raises:
        ValueError: the environment does not show a column, or there is no such rule.
    """

    def __init__(self, env: gym.Env[Any, Vector], columns: Sequence[str] = COLUMNS, prior: str = "") -> None:
        gym.utils.RecordConstructorArgs.__init__(self, columns=tuple(columns), prior=prior)
        super().__init__(env)
        spaces = Spaces.from_env(env)
        self.where, self.prior = positions(spaces, columns), prior_of(spaces, prior)
        assert isinstance(env.observation_space, Dict)
        self.observation_space = summary_space(env.observation_space)
        self.action_space = Box(-1, 1, (len(self.where),), dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Vector, dict[str, Any]]:
        """Start an episode."""
        self.shown, info = self.env.reset(seed=seed, options=options)
        return summary(self.shown), info

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Weight the candidates by the rule."""
        theta = BOUND * np.asarray(action, dtype=np.float64)
        weights = apply_rule(theta, self.shown, self.where, self.prior(self.shown))
        self.shown, reward, terminated, truncated, info = self.env.step(weights)
        return summary(self.shown), float(reward), terminated, truncated, info
