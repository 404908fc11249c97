"""Parameter-exploring policy gradients (PGPE, Sehnke et al., 2010) on the shared rule, read from top to bottom.

theta ~ N(mu, sigma^2 I) is drawn once an episode and held. Episodes come in antithetic pairs mu + sigma e and
mu - sigma e from the same seed; with their rewards G+ and G-,

    d E[G] / d mu  =  E[ (G+ - G-) / 2 * e / sigma ]

where the pair is its own baseline. The difference is divided by its running deviation, which frees the step from the
reward's scale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2a_agents.episodes import RuleEpisodes
from l2a_agents.prior import PRIOR, SHOWN
from l2a_agents.rule import BOUND, RuleConfig, StaticRule, named
from l2a_agents.selector import Log, MakeEnv


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of PGPE."""

    prior: str = PRIOR  # the fixed rule whose weights theta moves away from; empty: 1/2 for all
    sigma: float = 0.7  # deviation of theta
    learning_rate: float = 0.08  # size of mu's step for a pair whose difference is one deviation
    window: int = 20  # pairs over which that deviation is taken


class PGPE(StaticRule):
    """Moves the mean of a distribution of rules; the mean acts."""

    config: Config
    config_class = Config
    env_options: Mapping[str, Any] = SHOWN
    file = "pgpe.json"

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn mu; with several environments, as many pairs as fit are played at a time."""
        rng, sigma = np.random.default_rng(seed), self.config.sigma
        pairs = max(1, num_envs // 2)
        number, repeat = (1, 2) if num_envs == 1 else (2 * pairs, 1)
        episodes = RuleEpisodes(
            make_env, self.spaces, seed, number, repeat=repeat, columns=self.columns, prior=self.prior
        )
        differences: deque[float] = deque(maxlen=self.config.window)
        entropy = len(self.theta) * (0.5 * np.log(2 * np.pi * np.e) + np.log(sigma))
        episodes.reset()
        while episodes.spent < budget:
            noise = rng.normal(size=(pairs, len(self.theta)))
            thetas = np.clip(self.theta + sigma * np.concatenate([noise, -noise]), -BOUND, BOUND)
            rewards, figures = episodes.play(thetas)
            half_differences = (rewards[:pairs] - rewards[pairs:]) / 2
            differences.extend(half_differences)
            scale = np.sqrt(np.mean(np.square(differences))) + 1e-12
            step = (half_differences / scale) @ noise / pairs
            self.theta = np.clip(self.theta + self.config.learning_rate * step, -BOUND, BOUND)
            values = {"reward": float(rewards.mean()), "entropy": float(entropy), "difference": float(scale)}
            log(episodes.spent, figures | values | named(self.theta, self.columns))
        episodes.close()
