"""The episode loops: every selector that plays episodes plays them by one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from l2a_agents.selector import Action, Observation

TRAINING_SEEDS = 4
"""Training episodes start from this many seeds in turn, so that selectors are compared on the same candidates."""

Actor = Callable[[Observation], Action]


class Transition(NamedTuple):
    """One step of an episode.

    Attributes:
        observation: what the action was chosen by.
        action: (N,).
        reward: of the step.
        next_observation: what the step led to.
        info: the environment's figures after it.
        over: whether the episode ended with it.
    """

    observation: Observation
    action: Action
    reward: float
    next_observation: Observation
    info: dict[str, Any]
    over: bool


def take(env: gym.Env[Any, Any], observation: Observation, action: Action) -> Transition:
    """Take a step of an environment that shows ``observation``."""
    after, reward, terminated, truncated, info = env.step(action)
    return Transition(observation, action, float(reward), after, info, terminated or truncated)


def late_gain(episode: Sequence[Transition]) -> float:
    """An episode's gain since its start, averaged over the states of its second half, which is less noisy than one."""
    gains = np.cumsum([step.reward for step in episode])
    return float(gains[-max(1, len(gains) // 2) :].mean())


def rollout(
    env: gym.Env[Any, Any], act: Actor, seed: int | None = None, options: dict[str, Any] | None = None
) -> Iterator[Transition]:
    """Play an episode step by step; while the caller has a step, the environment stands as it left it."""
    observation, over = env.reset(seed=seed, options=options)[0], False
    while not over:
        step = take(env, observation, act(observation))
        observation, over = step.next_observation, step.over
        yield step


def rollout_batch(
    envs: VectorEnv[Any, Any, Any], observations: Observation, act: Actor, half: int
) -> tuple[NDArray[np.float64], dict[str, Any], Observation]:
    """Play the episodes that have begun to their ends; one that ends early, its student diverged, stays as it ended.

    Args:
        envs: E environments, which wait at their episodes' ends.
        observations: the episodes' first.
        act: from the observations of all to their actions (E, ...); those of episodes that ended don't count.
        half: T / 2.

    Returns:
        Gains since the start (E,), averaged over the last ``half`` states; figures at the episodes' ends, ``gain``
        among them; the last observations.
    """
    gains, over = [np.zeros(envs.num_envs)], np.zeros(envs.num_envs, dtype=np.bool_)
    figures: dict[str, Any] = {}
    while not over.all():
        actions = np.where(over[:, None], np.float32(0), act(observations))
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        gains.append(gains[-1] + np.where(over, 0.0, rewards))
        for name, values in infos.items():
            figures[name] = np.where(over, figures.get(name, values), values)
        ended, over = terminated | truncated, over | terminated | truncated
        if ended.any() and not over.all():  # the others play on, and all take their steps together
            observations, _ = envs.reset(options={"reset_mask": ended})
    return np.mean(gains[-half:], axis=0), {**figures, "gain": gains[-1]}, observations


def split(observations: Observation, number: int) -> list[Observation]:
    """The observation of each of several environments."""
    return [{name: part[i] for name, part in observations.items()} for i in range(number)]


def means(figures: list[dict[str, Any]]) -> dict[str, float]:
    """The mean of each figure at the ends of episodes."""
    names = [name for name in figures[0] if not name.startswith("_")]
    return {name: float(np.mean([each[name] for each in figures])) for name in names}


def training_seeds(seed: int) -> list[int]:
    """The seeds from which a training run's episodes start, in turn; two runs share none."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(TRAINING_SEEDS)]


def fresh_seeds(sequence: np.random.SeedSequence) -> Iterator[int]:
    """A new seed for each episode, without end."""
    while True:
        yield int(sequence.spawn(1)[0].generate_state(1)[0])
