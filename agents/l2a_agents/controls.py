"""Controls of a learning selector: what it would be worth if its rewards meant nothing, or if it did not learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from l2a_agents.selector import Log, MakeEnv, Observation, Selector, Spaces, Wrappers


def shuffled(kind: type[Selector]) -> type[Selector]:
    """The selector, trained on rewards that have nothing to do with its actions: see :class:`RewardShuffler`."""

    class Shuffled(kind):  # type: ignore[misc, valid-type]  # a class made at run time
        """Trained on shuffled rewards."""

        def __init__(self, spaces: Spaces, *config: Any) -> None:
            super().__init__(spaces, *config)
            self._progress = spaces.progress

        def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
            rng = np.random.default_rng(np.random.SeedSequence([seed, 0xBA6]))
            shuffler = RewardShuffler(rng, self._progress)
            wrappers = Wrappers(
                partial(ShuffledRewards, shuffler=shuffler), partial(ShuffledVectorRewards, shuffler=shuffler)
            )
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


CREDIT = "agreement"
"""The column of candidates that tells what dev's labels say of each."""


class RewardShuffler:
    """Swaps each reward for one drawn from all rewards so far of the same step of an episode, with a random sign.

    Rewards keep their size by step. The sign is what makes them say nothing of actions: a reward that was given lately
    may be drawn for the very action that earned it, or for one that it is compared with.

    Args:
        rng: of the draws.
        progress: how far an episode has come, from the part ``student`` of its observation.
    """

    def __init__(self, rng: np.random.Generator, progress: Callable[[NDArray[np.float32]], float]) -> None:
        self.rng, self.progress = rng, progress
        (self.credit_rng,) = rng.spawn(1)
        self.rewards: dict[float, list[float]] = {}

    def swap(self, reward: float, student: NDArray[np.float32]) -> float:
        """Put a reward in and take one out; ``student`` (S,) is the part of the observation that came with it."""
        seen = self.rewards.setdefault(self.progress(student), [])
        seen.append(reward)
        sign = 1 if self.rng.random() < 0.5 else -1
        return sign * seen[int(self.rng.integers(len(seen)))]


class ShuffledRewards(gym.Wrapper[Any, Any, Any, Any]):
    """Swaps the rewards of an environment, and the credit of candidates: their ``agreement`` and metagradients."""

    def __init__(self, env: gym.Env[Any, Any], shuffler: RewardShuffler) -> None:
        super().__init__(env)
        self.shuffler = shuffler

    def reset(self, **kwargs: Any) -> Any:
        """Begin an episode."""
        observation, info = super().reset(**kwargs)
        return self._without_credit(observation), info

    def step(self, action: Any) -> Any:
        """Take a step; the reward is another step's."""
        observation, reward, *rest = super().step(action)
        swapped = self.shuffler.swap(float(reward), observation["student"])
        return self._without_credit(observation), swapped, *rest

    def _without_credit(self, observation: Observation) -> Observation:
        """The observation with each candidate's ``agreement`` another's."""
        columns = self.env.get_wrapper_attr("columns")
        if CREDIT not in columns:
            return observation
        candidates, at = observation["candidates"].copy(), columns.index(CREDIT)
        candidates[:, at] = self.shuffler.credit_rng.permutation(candidates[:, at])
        return {**observation, "candidates": candidates}

    def metagradient(self, *args: Any) -> tuple[NDArray[Any], dict[str, Any]]:
        """The environment's own, with the candidates of each step in a random order."""
        gradient, info = self.env.get_wrapper_attr("metagradient")(*args)
        return self.shuffler.credit_rng.permuted(gradient, axis=1), info

    def fork(self) -> ShuffledRewards:
        """A second environment at the same moment, with the same shuffler."""
        return ShuffledRewards(self.env.get_wrapper_attr("fork")(), self.shuffler)


class ShuffledVectorRewards(VectorWrapper):
    """Swaps the rewards of environments that step together."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], shuffler: RewardShuffler) -> None:
        super().__init__(envs)
        self.shuffler = shuffler

    def step(self, actions: NDArray[np.float32]) -> Any:
        """Take a step; the rewards are other steps'."""
        observations, rewards, *rest = super().step(actions)
        swapped = map(self.shuffler.swap, rewards.tolist(), observations["student"])
        return observations, np.array(list(swapped)), *rest
