"""Greedy look-ahead: before each step the environment is forked, and every fork tries another rule.

An episode is played from each training seed in turn. Before step t the environment is forked once for each rule of a
handful: the uniform one, one column alone with theta = +-2, the best so far, and that one perturbed. A rule's advantage
is what its fork gained in the step less what the uniform rule's gained. The best is the rule with the largest mean
advantage over the episodes in which it was tried in this step; the episode goes on with the fork that it moved.

What is learnt is a schedule: theta_t for t = 0 .. T - 1. A rule that pays only later is not found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from l2a_agents.rollout import Transition, take, training_seeds
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, named, positions
from l2a_agents.selector import Action, Configured, Hyperparameters, Log, MakeEnv, Observation, Spaces, spent

Rule = tuple[float, ...]
UNIFORM: Rule = (0.0,) * len(COLUMNS)


@dataclass(frozen=True)
class Config(Hyperparameters):
    """Hyper-parameters of the look-ahead."""

    size: float = 2.0  # absolute value of theta in a rule of one column
    sigma: float = 0.7  # deviation of the perturbation


class LookAhead(Configured):
    """A rule for each step of the episode, found by trying rules in forks.

    Attributes:
        single: the rules of one column.
        tried: for each step the advantages of the rules that were tried in it, an episode each.
    """

    config: Config
    config_class = Config

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.where, size = positions(spaces), self.config.size
        self.single: list[Rule] = [
            tuple(sign * size if i == j else 0.0 for j in range(len(COLUMNS)))
            for i in range(len(COLUMNS))
            for sign in (1, -1)
        ]
        self.tried: list[dict[Rule, list[float]]] = [{} for _ in range(spaces.steps)]

    def best(self, t: int) -> Rule:
        """theta_t: the rule with the largest mean advantage; the uniform one where none was tried."""
        return max(self.tried[t], key=lambda rule: float(np.mean(self.tried[t][rule])), default=UNIFORM)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The weights under the rule of the step that comes next."""
        t = round(self.spaces.progress(observation["student"]) * len(self.tried))
        return self._weights(self.best(min(t, len(self.tried) - 1)), observation)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Play episodes until the budget is spent, in one environment and its forks; a later call goes on."""
        rng, seeds = np.random.default_rng(seed), training_seeds(seed)
        total, turn = 0, 0
        while total < budget:
            env, gain, t, over = make_env(), 0.0, 0, False
            observation, info = env.reset(seed=seeds[turn % len(seeds)])
            total, turn = total + spent(info), turn + 1
            while not over and total < budget:
                env, step, cost = self._step(env, observation, spent(info), t, rng)
                observation, info, over = step.next_observation, step.info, step.over
                total, t, gain = total + cost, t + 1, gain + step.reward
            env.close()
            figures = {name: float(value) for name, value in info.items()}
            schedule = np.mean([self.best(each) for each in range(len(self.tried))], axis=0)
            log(total, figures | {"gain": gain, "reward": gain} | named(schedule))

    def _step(
        self, env: gym.Env[Any, Any], observation: Observation, before: int, t: int, rng: np.random.Generator
    ) -> tuple[gym.Env[Any, Any], Transition, int]:
        """Try rules in forks of an environment, which is closed then.

        Args:
            env: at its step t.
            observation: what it shows.
            before: what its episode has spent.
            t: the step.
            rng: of the perturbation.

        Returns:
            The fork that the best of these rules moved, its step, and what all forks spent.
        """
        cost, uniform, most = 0, 0.0, -np.inf
        chosen, taken = env, None
        best = self.best(t)
        perturbed = tuple(np.clip(best + self.config.sigma * rng.normal(size=len(best)), -BOUND, BOUND).tolist())
        for rule in dict.fromkeys([UNIFORM, *self.single, best, perturbed]):
            fork = env.get_wrapper_attr("fork")()
            step = take(fork, observation, self._weights(rule, observation))
            cost += spent(step.info) - before
            uniform = step.reward if rule == UNIFORM else uniform  # the first
            advantages = self.tried[t].setdefault(rule, [])
            advantages.append(step.reward - uniform)
            worse = fork
            if np.mean(advantages) > most:
                worse, chosen, taken, most = chosen, fork, step, float(np.mean(advantages))
            if worse is not env:  # it is forked on
                worse.close()
        env.close()
        assert taken
        return chosen, taken, cost

    def _weights(self, rule: Rule, observation: Observation) -> Action:
        return apply_rule(np.array(rule), observation, self.where)

    def save(self, folder: Path) -> None:
        """Write ``look-ahead.json``."""
        state = {"columns": COLUMNS, "tried": [list(each.items()) for each in self.tried]}
        (folder / "look-ahead.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read ``look-ahead.json``."""
        state = json.loads((folder / "look-ahead.json").read_text(encoding="utf-8"))
        self.tried = [{tuple(rule): advantages for rule, advantages in each} for each in state["tried"]]
