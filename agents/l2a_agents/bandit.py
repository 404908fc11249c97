"""Bandits over groups of candidates: which domain and operator to learn from.

An arm is a set of candidates: all of them, or those of one domain made by one operator. To pull an arm is to take a
step of the environment with weight 1 for its candidates and 0 for the others; only arms that hold some of those shown
can be pulled. A step's reward r becomes a pull's by the running mean m of rewards at the same step of an episode, since
early steps gain more, and the running root mean square s of what is left:

    x = clip((r - m) / 2s, -1, 1)
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_agents.rollout import fresh_seeds, rollout
from l2a_agents.selector import Action, Configured, Hyperparameters, Log, MakeEnv, Observation, Spaces, spent

Floats = NDArray[np.float64]
Shown = NDArray[np.bool_]
LOGGED = ("dev_nll", "dev_accuracy", "dev_macro_f1", "selected")


@dataclass
class Tally:
    """What the pulls so far have shown.

    Attributes:
        pulls: (A,) of each arm.
        total: (A,) sum over an arm's pulls of x / the probability that it had, which is 1 but for :class:`Exp3`.
        visits: (T,) of each step of an episode.
        mean: (T,) running mean of rewards, m.
        square: sum of (r - m)^2 over all pulls.
    """

    pulls: list[int]
    total: list[float]
    visits: list[int]
    mean: list[float]
    square: float = 0.0

    def relative(self, step: int, reward: float) -> float:
        """Take in a step's reward, and give x."""
        self.visits[step] += 1
        self.mean[step] += (reward - self.mean[step]) / self.visits[step]
        left = reward - self.mean[step]
        self.square += left**2
        scale = 2 * np.sqrt(self.square / sum(self.visits))
        return float(np.clip(left / scale, -1, 1)) if scale > 0 else 0.0


class Bandit(Configured, ABC):
    """The arms, the pulls, and weights from how good the arms are thought to be."""

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        sides = [[n for n in spaces.columns if n.startswith(f"{kind}=")] for kind in ("domain", "operator")]
        if not all(sides):
            raise ValueError(f"a bandit needs columns domain=... and operator=..., not {', '.join(spaces.columns)}")
        groups = list(product(*sides))
        self.arms = ("all", *("/".join(name.partition("=")[2] for name in group) for group in groups))
        self.where = np.array([[spaces.column(name) for name in group] for group in groups])
        arms, steps = len(self.arms), spaces.steps
        self.tally = Tally([0] * arms, [0.0] * arms, [0] * steps, [0.0] * steps)

    @abstractmethod
    def chances(self, shown: Shown, rng: np.random.Generator) -> Floats:
        """Probability (A,) of pulling each arm, in training; ``shown`` (A,) are those that can be."""

    @abstractmethod
    def worth(self, shown: Shown) -> Floats:
        """Shares (A,) of the arms, in acting; they sum to 1, and arms that are not shown have 0."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The summed shares of the arms that hold a candidate, over the largest such sum."""
        members = self.members(observation)
        weights = self.worth(np.any(members, axis=1)) @ members
        return (weights / weights.max()).astype(np.float32)

    def members(self, observation: Observation) -> Shown:
        """Which candidates each arm holds, (A, N)."""
        groups = (observation["candidates"].T[self.where] > 0).all(axis=1)
        return np.vstack([np.ones(groups.shape[1], dtype=np.bool_), groups])

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Play episode after episode, one at a time, each from a new seed, until the budget is spent."""
        env, total, sequence = make_env(), 0, np.random.SeedSequence(seed)
        rng, seeds = np.random.default_rng(sequence.spawn(1)[0]), fresh_seeds(sequence)
        arm, chance = 0, 1.0

        def pull(observation: Observation) -> Action:
            nonlocal arm, chance
            members = self.members(observation)
            chances = self.chances(np.any(members, axis=1), rng)
            arm = int(rng.choice(len(chances), p=chances))
            chance = float(chances[arm])
            return members[arm].astype(np.float32)

        while total < budget:
            gain = 0.0
            for t, step in enumerate(rollout(env, pull, next(seeds))):
                self.tally.pulls[arm] += 1
                self.tally.total[arm] += self.tally.relative(t, step.reward) / chance
                gain += step.reward
            total += spent(step.info)
            log(total, {"gain": gain} | self._figures(step.info))
        env.close()

    def save(self, folder: Path) -> None:
        """Write ``bandit.json``."""
        (folder / "bandit.json").write_text(json.dumps(asdict(self.tally)), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read ``bandit.json``; training goes on from there."""
        self.tally = Tally(**json.loads((folder / "bandit.json").read_text(encoding="utf-8")))

    def _figures(self, info: Mapping[str, Any]) -> dict[str, float]:
        """What is logged of an episode's end, and the shares of the arms that were ever pulled."""
        pulled = np.array(self.tally.pulls) > 0
        shares = {f"arm/{self.arms[arm]}": float(self.worth(pulled)[arm]) for arm in np.flatnonzero(pulled)}
        return {name: info[name] for name in info if name in LOGGED or name.startswith("weight/")} | shares


@dataclass(frozen=True)
class Exp3Config(Hyperparameters):
    """Hyper-parameters of Exp3."""

    explore: float = 0.2  # e, the share of pulls that go to all arms alike; at most 1


class Exp3(Bandit):
    """Exponential weights on importance-weighted rewards.

    Auer et al. (2002), "The nonstochastic multiarmed bandit problem"; over tasks of a curriculum Graves et al. (2017).
    With A arms shown, and total(a) the sum of x / P(a) over the pulls of a:

        Q = softmax(e / A * total),   P = (1 - e) Q + e / A

    Pulls by P. Acts by Q: a candidate's weight is the probability of the arms that hold it, over the largest.
    """

    config: Exp3Config
    config_class = Exp3Config

    def chances(self, shown: Shown, rng: np.random.Generator) -> Floats:
        """P."""
        explore = self.config.explore
        return (1 - explore) * self.worth(shown) + explore * shown / shown.sum()

    def worth(self, shown: Shown) -> Floats:
        """Q."""
        power = np.where(shown, self.config.explore / shown.sum() * np.array(self.tally.total), -np.inf)
        share = np.exp(power - power.max())
        return share / share.sum()


@dataclass(frozen=True)
class UCBConfig(Hyperparameters):
    """Hyper-parameters of UCB."""

    bonus: float = 1.0  # b, weight of what an arm's mean may be higher


class UCB(Bandit):
    """The arm whose mean may be the highest.

    UCB1 of Auer et al. (2002), "Finite-time analysis of the multiarmed bandit problem". With n pulls in all, n_a of
    them of arm a, pulls arms that never were, and then the largest

        mean x of a + b sqrt(2 ln n / n_a)

    Acts with the best mean: weight 1 for that arm's candidates, 0 for the others; all alike before any pull.
    """

    config: UCBConfig
    config_class = UCBConfig

    def chances(self, shown: Shown, rng: np.random.Generator) -> Floats:
        """1 for the largest, 0 for the others."""
        return self._only(shown, bonus=self.config.bonus, new=np.inf)

    def worth(self, shown: Shown) -> Floats:
        """1 for the best mean, 0 for the others."""
        return self._only(shown, bonus=0.0, new=-np.inf)

    def _only(self, shown: Shown, bonus: float, new: float) -> Floats:
        """1 for the first of the largest; an arm without a pull counts as ``new``."""
        pulls, n = np.array(self.tally.pulls), np.maximum(self.tally.pulls, 1)
        value = np.array(self.tally.total) / n + bonus * np.sqrt(2 * np.log(max(pulls.sum(), 1)) / n)
        return np.eye(len(n))[np.where(shown, np.where(pulls > 0, value, new), -np.inf).argmax()]


@dataclass(frozen=True)
class ThompsonConfig(Hyperparameters):
    """Hyper-parameters of Thompson sampling."""

    draws: int = 2000  # of the arms' means, by which it acts


class Thompson(Bandit):
    """Each arm as often as it is likely to be the best, after Thompson (1933).

    With Gaussian rewards of deviation 1/2, that of x, and the same prior around 0, the mean of arm a after n_a pulls is

        N(total(a) / (n_a + 1), 1 / (4 (n_a + 1)))

    Pulls the arm whose draw is the largest. Acts with the probability that an arm's mean is the largest, from
    draws that are always the same: a candidate's weight is that of the arms that hold it, over the largest.
    """

    config: ThompsonConfig
    config_class = ThompsonConfig

    def chances(self, shown: Shown, rng: np.random.Generator) -> Floats:
        """1 for the largest draw, 0 for the others."""
        return self._wins(shown, rng, 1)

    def worth(self, shown: Shown) -> Floats:
        """Share of draws in which an arm is the largest."""
        return self._wins(shown, np.random.default_rng(0), self.config.draws)

    def _wins(self, shown: Shown, rng: np.random.Generator, draws: int) -> Floats:
        n = np.array(self.tally.pulls) + 1
        means = np.array(self.tally.total) / n + rng.normal(size=(draws, len(n))) / np.sqrt(4 * n)
        return np.bincount(np.where(shown, means, -np.inf).argmax(axis=1), minlength=len(n)) / draws
