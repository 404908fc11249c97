"""Greedy look-ahead: before each step the environment is forked, and every fork tries another rule.

An episode is played from each training seed in turn. Before step t the environment is forked once for each rule of a
handful: the uniform one, one column alone with theta = +-2, the best so far, and that one perturbed. A rule's advantage
is what its fork gained in the step less what the uniform rule's gained. The best is the rule with the largest mean
advantage over the episodes in which it was tried in this step; the episode goes on with the fork that it moved.

What is learnt is a schedule: theta_t for t = 0 .. T - 1. A rule that pays only later is not found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np

from l2a_agents.episodes import training_seeds
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, named, positions
from l2a_agents.selector import PROGRESS, Action, Log, MakeEnv, Observation, Spaces, spent

SIZE = 2.0
"""theta of a rule of one column."""
SIGMA = 0.7
"""Deviation of the perturbation."""

Rule = tuple[float, ...]
UNIFORM: Rule = (0.0,) * len(COLUMNS)
SINGLE: list[Rule] = [
    tuple(sign * SIZE if i == j else 0.0 for j in range(len(COLUMNS))) for i in range(len(COLUMNS)) for sign in (1, -1)
]


class Moment(NamedTuple):
    """An environment after a step, and what the step returned."""

    env: gym.Env[Any, Any]
    observation: Observation
    info: dict[str, Any]
    gain: float = 0.0
    over: bool = False


class LookAhead:
    """A rule for each step of the episode, found by trying rules in forks.

    Attributes:
        tried: for each step the advantages of the rules that were tried in it, an episode each.
    """

    env_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, spaces: Spaces) -> None:
        self.spaces, self.where = spaces, positions(spaces)
        self.tried: list[dict[Rule, list[float]]] = [{} for _ in range(spaces.steps)]

    def best(self, t: int) -> Rule:
        """theta_t: the rule with the largest mean advantage; the uniform one where none was tried."""
        return max(self.tried[t], key=lambda rule: float(np.mean(self.tried[t][rule])), default=UNIFORM)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The weights under the rule of the step that comes next."""
        t = round(float(observation["student"][PROGRESS]) * len(self.tried))
        return self._weights(self.best(min(t, len(self.tried) - 1)), observation)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Play episodes until the budget is spent, in one environment and its forks; a later call goes on."""
        rng, seeds = np.random.default_rng(seed), training_seeds(seed)
        total, turn = 0, 0
        while total < budget:
            env, gains, t = make_env(), [], 0
            moment = Moment(env, *env.reset(seed=seeds[turn % len(seeds)]))
            total, turn = total + spent(moment.info), turn + 1
            while not moment.over and total < budget:
                moment, cost = self._step(moment, t, rng)
                total, t = total + cost, t + 1
                gains.append(moment.gain)
            moment.env.close()
            figures = {name: float(value) for name, value in moment.info.items()}
            schedule = np.mean([self.best(each) for each in range(len(self.tried))], axis=0)
            log(total, figures | {"gain": sum(gains), "reward": sum(gains)} | named(schedule))

    def _step(self, moment: Moment, t: int, rng: np.random.Generator) -> tuple[Moment, int]:
        """Try rules in forks.

        Returns:
            The fork that the best of these rules moved, and what all forks spent.
        """
        cost, uniform = 0, 0.0
        chosen, most = moment, -np.inf
        best = self.best(t)
        perturbed = tuple(np.clip(best + SIGMA * rng.normal(size=len(best)), -BOUND, BOUND).tolist())
        for rule in dict.fromkeys([UNIFORM, *SINGLE, best, perturbed]):
            fork = moment.env.get_wrapper_attr("fork")()
            observation, gain, terminated, truncated, info = fork.step(self._weights(rule, moment.observation))
            cost += spent(info) - spent(moment.info)
            uniform = float(gain) if rule == UNIFORM else uniform  # the first
            advantages = self.tried[t].setdefault(rule, [])
            advantages.append(float(gain) - uniform)
            worse = fork
            if np.mean(advantages) > most:
                worse, most = chosen.env, float(np.mean(advantages))
                chosen = Moment(fork, observation, info, float(gain), terminated or truncated)
            if worse is not moment.env:  # it is forked on
                worse.close()
        moment.env.close()
        return chosen, cost

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
