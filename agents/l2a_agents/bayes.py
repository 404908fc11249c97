"""Bayesian optimisation of static rules: a model of the reward says which rule to try next.

The model is a Gaussian process (Optuna's ``GPSampler``), which learns from the rewards how noisy they are; the next
rule is where the expected improvement over the best is largest. Rewards are paired with the uniform rule on the same
seed: its own is 0, without being played. A rule is played from half of the training seeds; one that does better than
the best so far then from the other half, and is the best only if its mean over all is higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution
from optuna.samplers import GPSampler

from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.rule import COLUMNS, RuleConfig, StaticRule, named
from l2a_agents.selector import Log, MakeEnv, Spaces

EPISODES = TRAINING_SEEDS // 2
"""Episodes, from half of the training seeds, for which a rule is played at a time."""

Trial = dict[str, list[float]]
"""A rule that was tried: its ``theta`` (H,), and the ``rewards`` of its episodes."""


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of Bayesian optimisation."""

    startup: int = 8  # rules before the model proposes any: the uniform one, and draws from N(0, I)
    reach: float = 2.0  # largest absolute value of a tried rule's entry


class Bayes(StaticRule):
    """The rule with the best mean reward among those that were played from all training seeds."""

    config: Config
    config_class = Config
    file, kept = "bayes.json", ("trials",)

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.trials: list[Trial] = [{"theta": [0.0] * len(self.columns), "rewards": [0.0] * TRAINING_SEEDS}]

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Try rules until the budget is spent; a later call goes on with the trials so far."""
        rng = np.random.default_rng(seed)
        episodes = RuleEpisodes(
            make_env, self.spaces, seed, num_envs, control=True, columns=self.columns, prior=self.prior
        )
        episodes.reset()
        while episodes.spent < budget:
            trials = self._next(num_envs, rng)
            rules = np.array([trial["theta"] for trial in trials])
            rounds = [episodes.play(rules) for _ in range(EPISODES)]
            rewards = np.stack([reward for reward, _ in rounds], axis=1)
            for trial, own in zip(trials, rewards.tolist(), strict=True):
                trial["rewards"] += own
            self.trials += [trial for trial in trials if len(trial["rewards"]) == EPISODES]
            self.theta = np.array(self.best["theta"])
            values = {"reward": float(rewards.mean()), "best": _mean(self.best), "trials": float(len(self.trials))}
            log(episodes.spent, rounds[-1][1] | values | named(self.theta, self.columns))
        episodes.close()

    @property
    def best(self) -> Trial:
        """The trial with the highest mean among those from all seeds."""
        return max((trial for trial in self.trials if _is_whole(trial)), key=_mean)

    def _next(self, number: int, rng: np.random.Generator) -> list[Trial]:
        """What to play: trials that did better than the best from half of the seeds, and new ones."""
        bar, reach = _mean(self.best), self.config.reach
        again = [trial for trial in self.trials if not _is_whole(trial) and _mean(trial) > bar][:number]
        new = number - len(again)
        drawn = min(new, max(0, self.config.startup - len(self.trials)))
        thetas = [*np.clip(rng.normal(size=(drawn, len(self.columns))), -reach, reach)]
        if drawn < new:
            thetas += propose(self.trials, new - drawn, reach, int(rng.integers(2**31)), self.columns)
        return again + [{"theta": theta.tolist(), "rewards": []} for theta in thetas]


def propose(
    trials: list[Trial], number: int, reach: float, seed: int, columns: Sequence[str] = COLUMNS
) -> list[NDArray[np.float64]]:
    """Rules (H,) within ``reach`` from which the model expects most, each as if the others were under way."""
    space: dict[str, Any] = {name: FloatDistribution(-reach, reach) for name in columns}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each study and trial otherwise
    try:
        study = optuna.create_study(sampler=GPSampler(seed=seed, n_startup_trials=1), direction="maximize")
        for trial in trials:
            point = dict(zip(columns, trial["theta"], strict=True))
            study.add_trial(optuna.trial.create_trial(params=point, distributions=space, value=_mean(trial)))
        proposed = [study.ask(space).params for _ in range(number)]
    finally:
        optuna.logging.set_verbosity(verbosity)
    return [np.array([params[name] for name in columns]) for params in proposed]


def _mean(trial: Trial) -> float:
    return float(np.mean(trial["rewards"]))


def _is_whole(trial: Trial) -> bool:
    return len(trial["rewards"]) >= TRAINING_SEEDS
