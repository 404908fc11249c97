"""Random search over static rules: the baseline that a learning selector has to beat."""

from __future__ import annotations

import numpy as np

from l2a_agents.episodes import RuleEpisodes, play
from l2a_agents.rule import BOUND, StaticRule
from l2a_agents.selector import Log, MakeEnv, Spaces

SIGMA = 1.0
"""Deviation of the rules that are tried."""
EPISODES = 4
"""Each rule is tried on this many episodes; the best mean wins."""


class RandomSearch(StaticRule):
    """Draw rules, keep the one with the best mean reward; the uniform rule is the first that is tried."""

    file, kept = "random-search.json", ("best",)

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        self.best = -np.inf

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Search until the budget is spent."""
        rng = np.random.default_rng(seed)
        episodes = RuleEpisodes(make_env, self.spaces, seed, num_envs)
        episodes.reset()
        rules = np.tile(self.theta, (num_envs, 1))
        while episodes.spent < budget:
            rounds = [play(episodes, rules) for _ in range(EPISODES)]
            means = np.mean([rewards for rewards, _ in rounds], axis=0)
            if means.max() > self.best:
                self.best, self.theta = float(means.max()), rules[means.argmax()].copy()
            log(episodes.spent, rounds[-1][1] | {"reward": float(means.mean()), "best": self.best})
            rules = np.clip(SIGMA * rng.normal(size=rules.shape), -BOUND, BOUND)
        episodes.close()
