"""Random search over static rules: the baseline that a learning selector has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rule import BOUND, RuleConfig, StaticRule
from l2a_agents.selector import Log, MakeEnv, Spaces


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of random search."""

    sigma: float = 1.0  # deviation of the rules that are tried
    episodes: int = 4  # on which each rule is tried; the best mean wins


class RandomSearch(StaticRule):
    """Draw rules, keep the one with the best mean reward; the uniform rule is the first that is tried."""

    config: Config
    config_class = Config
    file, kept = "random-search.json", ("best",)

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.best = -np.inf

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Search until the budget is spent."""
        rng = np.random.default_rng(seed)
        episodes = RuleEpisodes(make_env, self.spaces, seed, num_envs, columns=self.columns, prior=self.prior)
        episodes.reset()
        rules = np.tile(self.theta, (num_envs, 1))
        while episodes.spent < budget:
            rounds = [episodes.play(rules) for _ in range(self.config.episodes)]
            means = np.mean([rewards for rewards, _ in rounds], axis=0)
            if means.max() > self.best:
                self.best, self.theta = float(means.max()), rules[means.argmax()].copy()
            log(episodes.spent, rounds[-1][1] | {"reward": float(means.mean()), "best": self.best})
            rules = np.clip(self.config.sigma * rng.normal(size=rules.shape), -BOUND, BOUND)
        episodes.close()
