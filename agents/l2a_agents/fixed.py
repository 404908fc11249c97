"""Baselines that look at nothing."""

from __future__ import annotations

import numpy as np

from l2a_agents.selector import Action, Fixed, Observation, Spaces


class Uniform(Fixed):
    """Every candidate with weight 1."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones."""
        return np.ones(len(observation["candidates"]), dtype=np.float32)


class Nothing(Fixed):
    """No candidate: the student learns from the target's shots alone."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Zeros."""
        return np.zeros(len(observation["candidates"]), dtype=np.float32)


class RandomHalf(Fixed):
    """A random half of the candidates with weight 1, drawn anew in every step, the same in every episode."""

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        self.random = np.random.default_rng(0)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones and zeros, half of each."""
        if self.spaces.begins(observation):
            self.random = np.random.default_rng(0)
        n = len(observation["candidates"])
        action = np.zeros(n, dtype=np.float32)
        action[self.random.permutation(n)[: n // 2]] = 1
        return action
