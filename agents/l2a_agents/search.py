"""Random search over static rules: the baseline that a learning selector has to beat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from l2a_agents.episodes import RuleEpisodes, play
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions
from l2a_agents.selector import Action, Log, MakeEnv, Observation, Spaces

SIGMA = 1.0
"""Deviation of the rules that are tried."""
EPISODES = 4
"""Each rule is tried on this many episodes; the best mean wins."""


class RandomSearch:
    """Draw rules, keep the one with the best mean reward; the uniform rule is the first that is tried."""

    env_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, spaces: Spaces) -> None:
        self.spaces, self.where = spaces, positions(spaces)
        self.theta, self.best = np.zeros(len(COLUMNS)), -np.inf

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The best rule's weights."""
        return apply_rule(self.theta, observation, self.where)

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

    def save(self, folder: Path) -> None:
        """Write ``random-search.json``."""
        state = {"columns": COLUMNS, "theta": self.theta.tolist(), "best": self.best}
        (folder / "random-search.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read ``random-search.json``."""
        state = json.loads((folder / "random-search.json").read_text(encoding="utf-8"))
        self.theta, self.best = np.array(state["theta"]), state["best"]
