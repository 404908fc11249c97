"""Controls of a learning selector: what it would be worth if its rewards meant nothing, or if it did not learn."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from l2a_agents.selector import PROGRESS, Log, MakeEnv, Selector, Wrappers


def shuffled(kind: type[Selector]) -> type[Selector]:
    """The selector, trained on rewards that have nothing to do with its actions: see :class:`Bag`."""

    class Shuffled(kind):  # type: ignore[misc, valid-type]  # a class made at run time
        """Trained on shuffled rewards."""

        def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
            bag = Bag(np.random.default_rng(np.random.SeedSequence([seed, 0xBA6])))
            wrappers = Wrappers(partial(ShuffledRewards, bag=bag), partial(ShuffledVectorRewards, bag=bag))
            super().train(make_env.wrapped(wrappers), budget, seed, log, num_envs)

    return Shuffled


def frozen(kind: type[Selector]) -> type[Selector]:
    """The selector as it starts."""

    class Frozen(kind):  # type: ignore[misc, valid-type]  # a class made at run time
        """Never trained."""

        def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
            """Return at once."""

    return Frozen


CONTROLS = {"shuffled": shuffled, "frozen": frozen}
"""What may stand behind the @ of a selector's name."""


class Bag:
    """Rewards so far, by how far their episode had come.

    A reward that is put in is swapped for one drawn from all that were put in for the same step, with a random sign.
    Rewards keep their size by step. The sign is what makes them say nothing of actions: a reward that was given lately
    may be drawn for the very action that earned it, or for one that it is compared with.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.rewards: dict[float, list[float]] = {}

    def swap(self, reward: float, student: NDArray[np.float32]) -> float:
        """Put a reward in and take one out; ``student`` (S,) is the part of the observation that came with it."""
        seen = self.rewards.setdefault(float(student[PROGRESS]), [])
        seen.append(reward)
        sign = 1 if self.rng.random() < 0.5 else -1
        return sign * seen[int(self.rng.integers(len(seen)))]


class ShuffledRewards(gym.Wrapper[Any, Any, Any, Any]):
    """Swaps the rewards of an environment."""

    def __init__(self, env: gym.Env[Any, Any], bag: Bag) -> None:
        super().__init__(env)
        self.bag = bag

    def step(self, action: Any) -> Any:
        """Take a step; the reward is another step's."""
        observation, reward, *rest = super().step(action)
        return observation, self.bag.swap(float(reward), observation["student"]), *rest

    def fork(self) -> ShuffledRewards:
        """A second environment at the same moment, whose rewards go into the same bag."""
        return ShuffledRewards(self.env.get_wrapper_attr("fork")(), self.bag)


class ShuffledVectorRewards(VectorWrapper):
    """Swaps the rewards of environments that step together."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], bag: Bag) -> None:
        super().__init__(envs)
        self.bag = bag

    def step(self, actions: NDArray[np.float32]) -> Any:
        """Take a step; the rewards are other steps'."""
        observations, rewards, *rest = super().step(actions)
        swapped = map(self.bag.swap, rewards.tolist(), observations["student"])
        return observations, np.array(list(swapped)), *rest
