"""CMA-ES over static rules (Hansen and Ostermeier, 2001): random search that learns where to look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import log as ln
from math import nan
from pathlib import Path
from typing import Any, ClassVar

import cma
import numpy as np

from l2a_agents.episodes import RuleEpisodes, play
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, named, positions
from l2a_agents.selector import Action, Log, MakeEnv, Observation, Spaces

SIGMA = 0.5
"""Deviation of the first generation's rules."""


class CMAES:
    """Each generation's rules play one episode from the same seed; the mean of the distribution acts."""

    env_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, spaces: Spaces) -> None:
        self.spaces, self.where = spaces, positions(spaces)
        self.theta, self.sigma = np.zeros(len(COLUMNS)), SIGMA

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The mean rule's weights."""
        return apply_rule(self.theta, observation, self.where)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Evolve until the budget is spent; a later call goes on from mean and step size, with a round shape."""
        size = population(len(COLUMNS), num_envs)
        search = self._search(size, np.random.default_rng(seed))
        episodes = RuleEpisodes(make_env, self.spaces, seed, num_envs, repeat=size // num_envs)
        episodes.reset()
        while episodes.spent < budget:
            rules = np.array(search.ask())
            rewards, figures = play(episodes, rules)
            search.tell(list(rules), (-rewards).tolist())
            self.theta, self.sigma = np.array(search.result.xfavorite), float(search.sigma)
            values = {**figures, "reward": float(rewards.mean()), "sigma": self.sigma}
            log(episodes.spent, values | named(self.theta))
        episodes.close()

    def _search(self, size: int, rng: np.random.Generator) -> Any:
        settings = {
            "popsize": size,
            "bounds": [-BOUND, BOUND],
            "verbose": -9,
            "seed": nan,  # no global seeding: the next line draws
            "randn": lambda *shape: rng.standard_normal(shape),
        }
        return cma.CMAEvolutionStrategy(self.theta, self.sigma, settings)

    def save(self, folder: Path) -> None:
        """Write ``cma-es.json``."""
        state = {"columns": COLUMNS, "theta": self.theta.tolist(), "sigma": self.sigma}
        (folder / "cma-es.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read ``cma-es.json``."""
        state = json.loads((folder / "cma-es.json").read_text(encoding="utf-8"))
        self.theta, self.sigma = np.array(state["theta"]), state["sigma"]


def population(dimensions: int, num_envs: int) -> int:
    """Rules in a generation: the usual 4 + 3 ln H, and as many more as fill the environments."""
    return -(-(4 + int(3 * ln(dimensions))) // num_envs) * num_envs
