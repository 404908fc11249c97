"""REINFORCE (Williams, 1992) on the shared rule, read from top to bottom.

Each candidate is kept with probability p = clip(w + theta . z / 2, 0.05, 0.95), w its weight by the prior. With k = 1
for kept ones, return-to-go R_t and its moving average b_t as baseline,

    d E[R] / d theta  =  E[ sum_t (R_t - b_t) * ( sum_i (k_i - p_i) / (p_i (1 - p_i)) * z_i / 2 ) ] + c * dH / d theta

with H the entropy of the choices. After each episode theta moves by a step of fixed length along this gradient g, and
back towards the prior, theta = 0, so that steps without evidence don't add up:

    theta  <-  theta + rate * ( g / |g| - ridge * theta )

Without a prior there is no way back, ridge = 0: the classical algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_agents.prior import PRIOR, SHOWN
from l2a_agents.rollout import fresh_seeds, rollout
from l2a_agents.rule import BOUND, RuleConfig, StaticRule, named, standardise
from l2a_agents.selector import Action, Log, MakeEnv, Observation, spent

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of REINFORCE."""

    prior: str = PRIOR  # the fixed rule whose weights theta moves away from; empty: 1/2 for all
    learning_rate: float = 0.1  # length of theta's step
    ridge: float = 0.3  # share of the step's length by which theta goes back towards a prior
    momentum: float = 0.9  # of the moving averages
    entropy: float = 0.0  # c, weight of the choices' entropy


class Reinforce(StaticRule):
    """Explores with a coin flip for each candidate; acts by the rule."""

    config: Config
    config_class = Config
    env_options: Mapping[str, Any] = SHOWN
    file = "reinforce.json"

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn theta from episodes that are played one at a time, each from a new seed."""
        rng, env = np.random.default_rng(seed), make_env()
        seeds = fresh_seeds(np.random.SeedSequence(seed))
        baseline = np.zeros(self.spaces.steps)
        rate, ridge = self.config.learning_rate, self.config.ridge if self.config.prior else 0.0
        total, episode = 0, 0

        def flip_coins(observation: Observation) -> Action:
            _, p = self._probabilities(observation)
            return (rng.random(len(p)) < p).astype(np.float32)

        while total < budget:
            moves = list(rollout(env, flip_coins, next(seeds)))
            scores, entropy_slopes = [], []
            for move in moves:
                (z, p), k = self._probabilities(move.observation), move.action
                scores.append((((k - p) / (p * (1 - p)))[:, None] * z / 2).sum(0))
                entropy_slopes.append(((self.config.entropy * np.log((1 - p) / p))[:, None] * z / 2).sum(0))
            to_go = np.cumsum([move.reward for move in reversed(moves)])[::-1]
            if not episode:  # the first is its own baseline
                baseline[: len(to_go)] = to_go
            advantage = to_go - baseline[: len(to_go)]
            baseline[: len(to_go)] += (1 - self.config.momentum) * advantage
            gradient = advantage @ np.array(scores) + np.sum(entropy_slopes, axis=0)
            step = rate * gradient / max(float(np.linalg.norm(gradient)), 1e-12)
            self.theta = np.clip(self.theta + step - rate * ridge * self.theta, -BOUND, BOUND)
            total, episode = total + spent(moves[-1].info), episode + 1
            values = {
                "reward": sum(move.reward for move in moves),
                "entropy": float(-np.mean(p * np.log(p) + (1 - p) * np.log(1 - p))),
                "selected": float(np.mean([(move.action > 0).mean() for move in moves])),
            }
            log(total, values | named(self.theta, self.columns))
        env.close()

    def _probabilities(self, observation: Observation) -> tuple[Floats, Floats]:
        """z (N, H) and p (N,)."""
        z = standardise(observation["candidates"][:, self.where])
        return z, np.clip(self.prior(observation) + z @ self.theta / 2, 0.05, 0.95)
