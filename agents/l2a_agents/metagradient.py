"""Credit for each candidate by exact metagradients, shared through the rule's columns; read from top to bottom.

A round plays an episode for each part of dev, the odd texts and the even ones, from the next training seeds under the
rule so far. The environment's ``metagradient`` then gives g_ti = d(last nll of that part) / d(weight of candidate i in
step t). The first step is left out: AdamW begins with updates that are nearly signs of the gradient, whose slopes are
rare spikes. With y = -g, standardised in each step, and standardised columns z, ridge regression

    beta_r = (Z'Z / n + ridge * I)^-1 Z'y / n

says what each column was worth in episode r. Columns on which episodes and parts disagree are shrunk: with m the mean
of beta_r over all episodes so far and s its standard error, entry by entry,

    beta = m * m^2 / (m^2 + s^2)

The rule is theta = theta_0 + length * beta / |beta|. Each length is played from all seeds of the rounds so far, and
compared with the start theta_0 from the same seeds. The best is the one with the highest mean difference less two
standard errors; where that is positive for none, the rule stays at the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from l2a_agents.rollout import Transition, late_gain, rollout, training_seeds
from l2a_agents.rule import BOUND, RuleConfig, StaticRule, apply_rule, named, standardise
from l2a_agents.selector import Log, MakeEnv, spent

LENGTHS = (1.0, 2.0, 4.0)
"""Lengths of theta - theta_0 that a round tries, the likeliest first."""

Theta = NDArray[np.float64]


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of the metagradient learner."""

    parts: int = 2  # of dev: episodes of a round, each of which has its credit from one of them
    ridge: float = 0.01  # of the regression on standardised columns


class Metagradient(StaticRule):
    """A rule in the direction in which the candidates' metagradients point."""

    config: Config
    config_class = Config
    file = "metagradient.json"

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn in rounds until the budget is spent, in one environment whatever ``num_envs``.

        Raises:
            ValueError: the environment has no metagradient.
        """
        player, seeds, start = Player(make_env(), self.where), training_seeds(seed), self.theta
        bases: dict[int, float] = {}  # the start's rewards by seed
        betas: list[Theta] = []
        best, turn = 0.0, 0
        while player.spent < budget:
            for part in range(self.config.parts):
                here, turn = seeds[turn % len(seeds)], turn + 1
                reward, episode = player.play(self.theta, here)
                if here not in bases:
                    bases[here] = reward if self.theta is start else player.play(start, here)[0]
                if not episode[-1].info["diverged"]:
                    credit = player.credit(episode, here, slice(part, None, self.config.parts))
                    betas.append(self._regress(episode, credit))
                log(player.spent, player.figures | named(self.theta, self.columns))
            beta = shrunk(np.array(betas)) if betas else np.zeros_like(start)
            for length in LENGTHS:
                if player.spent >= budget or not beta.any():
                    break
                theta = np.clip(start + length * beta / np.linalg.norm(beta), -BOUND, BOUND)
                gains = np.array([player.play(theta, each)[0] - base for each, base in bases.items()])
                bound = float(gains.mean() - 2 * standard_error(gains))
                if bound > best:
                    best, self.theta = bound, theta
                log(player.spent, player.figures | {"reward": float(gains.mean())} | named(self.theta, self.columns))
        player.env.close()

    def _regress(self, episode: list[Transition], credit: NDArray[np.floating[Any]]) -> Theta:
        """beta_r (H,) of an episode with the credits (T, N) of its candidates."""
        first = min(1, len(episode) - 1)
        shown = [step.observation["candidates"][:, self.where] for step in episode[first:]]
        z = np.concatenate([standardise(each) for each in shown])
        y = np.concatenate([standardise(each[:, None])[:, 0] for each in credit[first:]])
        covariance = z.T @ z / len(z) + self.config.ridge * np.eye(z.shape[1])
        beta: Theta = np.linalg.solve(covariance, z.T @ y / len(z))
        return beta


class Player:
    """Plays episodes of an environment under rules, and counts what they spend.

    Raises:
        ValueError: the environment has no metagradient.
    """

    def __init__(self, env: gym.Env[Any, Any], where: list[int]) -> None:
        if not env.has_wrapper_attr("metagradient"):
            raise ValueError(f"metagradient needs an environment with the method metagradient(); {env} has none")
        self.env, self.where, self.spent = env, where, 0
        self.figures: dict[str, float] = {}

    def play(self, theta: NDArray[np.floating[Any]], seed: int) -> tuple[float, list[Transition]]:
        """An episode's reward, the gain since the start averaged over the states of its second half; and its steps."""
        episode = list(rollout(self.env, partial(apply_rule, theta, where=self.where), seed))
        self._count(episode[-1].info, sum(step.reward for step in episode))
        return late_gain(episode), episode

    def credit(self, episode: list[Transition], seed: int, dev: slice) -> NDArray[np.floating[Any]]:
        """-d(last dev nll) / d(weight) of each candidate of an episode, (T, N), by a part of dev."""
        self.env.reset(seed=seed)
        actions = np.stack([step.action for step in episode])
        gradient, info = self.env.get_wrapper_attr("metagradient")(actions, dev)
        self.spent += spent(info)
        return -np.asarray(gradient, dtype=np.float64)

    def _count(self, info: dict[str, Any], gain: float) -> None:
        self.spent += spent(info)
        self.figures = {name: float(value) for name, value in info.items()} | {"gain": float(gain)}


def shrunk(betas: Theta) -> Theta:
    """The mean of betas (R, H), each entry shrunk by its share of signal m^2 / (m^2 + s^2)."""
    mean, error = betas.mean(0), standard_error(betas)
    result: Theta = mean**3 / np.maximum(mean**2 + error**2, 1e-12)
    return result


def standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the mean over the first axis; 0 of a single value."""
    error: NDArray[np.float64] = values.std(0, ddof=min(1, len(values) - 1)) / np.sqrt(len(values))
    return error
