"""The best fixed rule on dev: all that is learnt is which rule it is, and a learning selector has to beat it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from l2a_agents.cleaning import Doubt
from l2a_agents.fixed import TrustTeacher
from l2a_agents.halving import halve
from l2a_agents.prior import SHOWN, weighing_rules
from l2a_agents.rollout import fresh_seeds, late_gain, rollout
from l2a_agents.selector import Action, Fixed, Log, MakeEnv, Observation, Selector, Spaces, spent


def rules_of(spaces: Spaces) -> dict[str, Selector]:
    """All rules by name; of equals the first wins."""
    return {**weighing_rules(spaces), "doubt": Doubt(spaces), "trust-teacher": TrustTeacher(spaces)}


class BestRule(Fixed):
    """Sequential halving over fixed rules.

    An episode counts by its gain since the start, averaged over the states of its second half, as for the shared rule.

    Attributes:
        name: of the rule that acts; ``uniform`` before any training.
        round: units that an episode of every rule takes; 0 before any training.
    """

    env_options: Mapping[str, Any] = SHOWN

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        self.rules, self.round = rules_of(spaces), 0
        self._choose("uniform")

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Halve the rules until the budget is spent; one that has learnt before needs enough for all, or it stays."""
        if budget < self.round:
            return
        usual, seeds = make_env(), fresh_seeds(np.random.SeedSequence(seed))
        envs = {name: make_env(**own) if (own := _learning(rule)) else usual for name, rule in self.rules.items()}

        def told(total: int, means: dict[str, float]) -> None:
            self.round = self.round or total
            self._choose(max(means, key=lambda name: means[name]))
            log(total, {f"gain/{name}": mean for name, mean in means.items()} | {"gain": means[self.name]})

        self._choose(
            halve({name: partial(_episode, envs[name], self.rules[name]) for name in envs}, budget, seeds, told)
        )
        for env in envs.values():
            env.close()

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The rule's weights, and trust where it asks for it."""
        return self.rules[self.name].act(observation)

    def save(self, folder: Path) -> None:
        """Write the rule's name, and what a round takes."""
        state = {"rule": self.name, "round": self.round}
        (folder / "best-rule.json").write_text(json.dumps(state), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read them."""
        state = json.loads((folder / "best-rule.json").read_text(encoding="utf-8"))
        self.round = state["round"]
        self._choose(state["rule"])

    def _choose(self, name: str) -> None:
        """Act by a rule, whose students may learn in a way of their own."""
        self.name = name
        self.env_options = {**type(self).env_options, **_learning(self.rules[name])}


def _learning(rule: Selector) -> dict[str, Any]:
    """What a rule asks of the environment besides columns."""
    return {name: value for name, value in rule.env_options.items() if name != "features"}


def _episode(env: gym.Env[Any, Any], rule: Selector, seed: int) -> tuple[float, int]:
    """An episode's gain, and what it cost."""
    steps = list(rollout(env, rule.act, seed))
    return late_gain(steps), int(spent(steps[-1].info))
