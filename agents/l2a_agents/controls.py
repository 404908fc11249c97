"""Controls of a learning selector: what it is worth if all that it is told means nothing, or if it does not learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from l2a_agents.selector import Action, Log, MakeEnv, Observation, Selector, Spaces, Wrappers


def shuffled(kind: type[Selector]) -> type[Selector]:
    """The selector without any information.

    It is trained on rewards that have nothing to do with its actions, see :class:`RewardShuffler`, and whenever it is
    trained or acts, each candidate shows the columns of another one, drawn anew in each step. So neither rewards nor
    credit nor what it believed before can help it; what it still gains does not come from its choices.
    """

    class Shuffled(kind):  # type: ignore[misc, valid-type]  # a class made at run time
        """Trained on shuffled rewards and shuffled candidates."""

        def __init__(self, spaces: Spaces, *config: Any) -> None:
            super().__init__(spaces, *config)
            self._spaces, self._order = spaces, np.random.default_rng(0)

        def act(self, observation: Observation, deterministic: bool = True) -> Action:
            if self._spaces.begins(observation):
                self._order = np.random.default_rng(0)
            return super().act(mismatched(observation, self._order), deterministic)

        def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
            rng = np.random.default_rng(np.random.SeedSequence([seed, 0xBA6]))
            shuffler = RewardShuffler(rng, self._spaces.progress)
            wrappers = Wrappers(partial(ShuffledEnv, shuffler=shuffler), partial(ShuffledVectorEnv, shuffler=shuffler))
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


def mismatched(observation: Observation, rng: np.random.Generator) -> Observation:
    """The observation, or a batch of them, with each candidate's columns another's."""
    candidates = observation["candidates"]
    return {**observation, "candidates": candidates[..., rng.permutation(candidates.shape[-2]), :]}


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
        (self.order,) = rng.spawn(1)
        self.rewards: dict[float, list[float]] = {}

    def swap(self, reward: float, student: NDArray[np.float32]) -> float:
        """Put a reward in and take one out; ``student`` (S,) is the part of the observation that came with it."""
        seen = self.rewards.setdefault(self.progress(student), [])
        seen.append(reward)
        sign = 1 if self.rng.random() < 0.5 else -1
        return sign * seen[int(self.rng.integers(len(seen)))]


class ShuffledEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Swaps the rewards of an environment, and the candidates' columns.

    Its metagradients are of the true candidates, so they say nothing of the columns that are shown.
    """

    def __init__(self, env: gym.Env[Any, Any], shuffler: RewardShuffler) -> None:
        super().__init__(env)
        self.shuffler = shuffler

    def reset(self, **kwargs: Any) -> Any:
        """Begin an episode."""
        observation, info = super().reset(**kwargs)
        return mismatched(observation, self.shuffler.order), info

    def step(self, action: Any) -> Any:
        """Take a step; the reward is another step's."""
        observation, reward, *rest = super().step(action)
        swapped = self.shuffler.swap(float(reward), observation["student"])
        return mismatched(observation, self.shuffler.order), swapped, *rest

    def fork(self) -> ShuffledEnv:
        """A second environment at the same moment, with the same shuffler."""
        return ShuffledEnv(self.env.get_wrapper_attr("fork")(), self.shuffler)


class ShuffledVectorEnv(VectorWrapper):
    """Swaps the rewards, and the candidates' columns, of environments that step together."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], shuffler: RewardShuffler) -> None:
        super().__init__(envs)
        self.shuffler = shuffler

    def reset(self, **kwargs: Any) -> Any:
        """Begin episodes."""
        observations, infos = super().reset(**kwargs)
        return mismatched(observations, self.shuffler.order), infos

    def step(self, actions: NDArray[np.float32]) -> Any:
        """Take a step; the rewards are other steps'."""
        observations, rewards, *rest = super().step(actions)
        swapped = map(self.shuffler.swap, rewards.tolist(), observations["student"])
        return mismatched(observations, self.shuffler.order), np.array(list(swapped)), *rest
