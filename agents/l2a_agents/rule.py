"""The policy that the learning selectors share, and whole episodes under it as one decision.

The policy is a linear rule on the candidates' standardised columns z: the weight is clip((1 + theta . z) / 2, -1, 1).
theta = 0 weights all alike, theta . z < -1 drops a candidate, theta . z > 1 gives it full weight. One theta serves all
candidates, so the rule is permutation equivariant, and exploring in theta moves all candidates together: independent
coin flips would drown in the noise of a step (design note in ``docs/selectors.md``).
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l2a_agents.selector import Action, MakeEnv, Observation, Spaces, spent

COLUMNS = (
    "few_shot_label",
    "all_data_label",
    "teacher_confidence",
    "similarity",
    "domain_log_odds",
    "student_loss",
)
"""The columns that a rule looks at: few, so that few episodes are enough to learn it.

``agreement`` is left out: like the reward it comes from the dev labels, and rules that lean on it raise dev alone."""
BOUND = 4.0
"""Largest absolute value of a rule's entry."""
TRAINING_SEEDS = 4
"""Training episodes start from this many seeds in turn, so that rules are compared on the same candidates."""


def positions(spaces: Spaces) -> list[int]:
    """Where the rule's columns stand among the environment's."""
    return [spaces.column(name) for name in COLUMNS]


def standardise(columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """Columns (N, H) with mean 0 and deviation 1 over the candidates shown; a constant column becomes 0."""
    centred = columns - columns.mean(0, dtype=np.float64)
    return centred / np.maximum(centred.std(0), 1e-6)


def apply_rule(theta: NDArray[np.floating[Any]], observation: Observation, where: list[int]) -> Action:
    """Weights (N,) of all candidates under theta (H,)."""
    return np.clip((1 + standardise(observation["candidates"][:, where]) @ theta) / 2, -1, 1).astype(np.float32)


def summary(observation: Observation) -> NDArray[np.float32]:
    """What a state looks like whatever the candidates' order: mean and deviation of the columns, student, domains."""
    candidates = observation["candidates"]
    parts = [candidates.mean(0), candidates.std(0), observation["student"], observation["domains"].ravel()]
    return np.concatenate(parts).astype(np.float32)


class RuleEnv(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """An environment whose single decision is the rule of a whole episode of the wrapped one.

    Observation: :func:`summary` of the first observation. Action: theta, ``Box(-BOUND, BOUND, (H,))``.

    Reward: the gain since the start, averaged over the states of the episode's second half. Its expectation orders
    rules much as the last state's does, with a third of the noise. With ``control=True`` less that of theta = 0 from
    the same seed.

    Args:
        make_env: makes the wrapped environment.
        seed: the training run's; two runs share no episode seed, environments of the same run share all.
        control: whether to subtract the uniform rule's reward; measured once a seed.
        repeat: how many episodes in a row start from one seed.
    """

    def __init__(self, make_env: MakeEnv, seed: int, control: bool = False, repeat: int = 1) -> None:
        self.env = make_env()
        self.face = Spaces.of(self.env)
        self.where = positions(self.face)
        self.seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(TRAINING_SEEDS)]
        self.control, self.repeat = control, repeat
        self.uniform: dict[int, float] = {}
        self.episode, self.spent = -1, 0
        size = len(summary(self.env.observation_space.sample()))
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), dtype=np.float32)
        self.action_space = spaces.Box(-BOUND, BOUND, (len(self.where),), dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Go to the next training seed; ``seed`` plays no part."""
        self.episode += 1
        if self.control and self._seed not in self.uniform:
            self._begin()
            self.uniform[self._seed] = self._run(np.zeros(len(self.where)))[0]
        return self._begin(), {"spent": self.spent}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Run the episode under the rule ``action``."""
        reward, info = self._run(action)
        return summary(self.observation), reward - self.uniform.get(self._seed, 0.0), True, False, info

    def close(self) -> None:
        """Close the wrapped environment."""
        self.env.close()

    @property
    def _seed(self) -> int:
        return self.seeds[self.episode // self.repeat % len(self.seeds)]

    def _begin(self) -> NDArray[np.float32]:
        self.observation, info = self.env.reset(seed=self._seed)
        self.spent += spent(info)
        return summary(self.observation)

    def _run(self, theta: NDArray[np.floating[Any]]) -> tuple[float, dict[str, Any]]:
        gains, done, before = [0.0], False, 1
        while not done:
            action = apply_rule(theta, self.observation, self.where)
            self.observation, reward, terminated, truncated, info = self.env.step(action)
            gains.append(gains[-1] + float(reward))
            done = terminated or truncated
        self.spent += spent(info) - before
        half = gains[-max(1, self.face.steps // 2) :]
        return float(np.mean(half)), {**info, "spent": self.spent, "gain": gains[-1]}
