"""CMA-ES over static rules (Hansen and Ostermeier, 2001): random search that learns where to look."""

from __future__ import annotations

from dataclasses import dataclass
from math import log as ln
from math import nan
from typing import Any

import cma
import numpy as np

from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rule import BOUND, RuleConfig, StaticRule, named
from l2a_agents.selector import Log, MakeEnv, Spaces


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of CMA-ES."""

    sigma: float = 0.5  # deviation of the first generation's rules


class CMAES(StaticRule):
    """Each generation's rules play one episode from the same seed; the mean of the distribution acts."""

    config: Config
    config_class = Config
    file, kept = "cma-es.json", ("sigma",)

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.sigma = self.config.sigma

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Evolve until the budget is spent; a later call goes on from mean and step size, with a round shape."""
        size = population(len(self.columns), num_envs)
        search = self._search(size, np.random.default_rng(seed))
        episodes = RuleEpisodes(
            make_env, self.spaces, seed, num_envs, repeat=size // num_envs, columns=self.columns, prior=self.prior
        )
        episodes.reset()
        while episodes.spent < budget:
            rules = np.array(search.ask())
            rewards, figures = episodes.play(rules)
            search.tell(list(rules), (-rewards).tolist())
            self.theta, self.sigma = np.array(search.result.xfavorite), float(search.sigma)
            values = {**figures, "reward": float(rewards.mean()), "sigma": self.sigma}
            log(episodes.spent, values | named(self.theta, self.columns))
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


def population(dimensions: int, num_envs: int) -> int:
    """Rules in a generation: the usual 4 + 3 ln H, and as many more as fill the environments."""
    return -(-(4 + int(3 * ln(dimensions))) // num_envs) * num_envs
