"""Baselines that look at no text: all alike, none, a random half, all but one source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from l2a_agents.selector import Action, Configured, Fixed, Observation, Spaces


class Uniform(Fixed):
    """Every candidate with weight 1."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones."""
        return np.ones(observation["candidates"].shape[:-1], dtype=np.float32)


class TrustTeacher(Uniform):
    """Every candidate with weight 1, and the teacher's own answer in the place of its label."""

    env_options: Mapping[str, Any] = {"distillation": {"alpha": 1.0, "temperature": 1.0}}


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


class LeavesOut(Fixed):
    """Every candidate with weight 1 but those of one source."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones, and zeros for the source."""
        return 1 - observation["candidates"][..., self.spaces.column(f"domain={self.source(observation)}")]

    @abstractmethod
    def source(self, observation: Observation) -> str:
        """The source that is left out."""

    def _most(self, column: str, observation: Observation, sign: int = 1) -> str:
        values = sign * observation["domains"][1:, self.spaces.domain_columns.index(column)]
        return self.spaces.domains[1 + values.argmax()]


@dataclass(frozen=True)
class OneDomain:
    """The hyper-parameter of :class:`Without`."""

    domain: str = ""  # the source to leave out; empty: the one that is farthest from the target


class Without(Configured, LeavesOut):
    """All but the source that is named, or else the farthest from the target.

    Raises:
        ValueError: there is no such source.
    """

    config: OneDomain
    config_class: ClassVar[type[Any] | None] = OneDomain

    def __init__(self, spaces: Spaces, config: OneDomain | None = None) -> None:
        super().__init__(spaces, config)
        sources = spaces.domains[1:]
        if self.config.domain not in ("", *sources):
            raise ValueError(f"domain = {self.config.domain!r}: valid are {', '.join(sources)}")

    def source(self, observation: Observation) -> str:
        """The source that is named, or else the farthest."""
        return self.config.domain or self._most("distance", observation)


class WithoutLargest(LeavesOut):
    """All but the source with the most candidates in the pool."""

    def source(self, observation: Observation) -> str:
        """The largest source."""
        return self._most("size", observation)


class WithoutSmallest(LeavesOut):
    """All but the source with the fewest candidates in the pool."""

    def source(self, observation: Observation) -> str:
        """The smallest source."""
        return self._most("size", observation, -1)
