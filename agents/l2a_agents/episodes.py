"""Whole episodes under a rule as one decision, several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from l2a_agents.prior import half
from l2a_agents.rollout import TRAINING_SEEDS, Actor, means, rollout_batch, split, training_seeds
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions, summary
from l2a_agents.selector import Action, MakeEnv, Observation, Spaces, spent

Thetas = NDArray[np.floating[Any]]


class RuleEpisodes(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """E environments, each of whose decisions is the rule of a whole episode of a wrapped one.

    Observation: :func:`summary` of the first observation. Action: theta, ``Box(-BOUND, BOUND, (H,))``.

    Reward: the gain since the start, averaged over the states of the episode's second half. Its expectation orders
    rules much as the last state's does, with a third of the noise. With ``control=True`` less that of theta = 0 from
    the same seed.

    Args:
        make_env: makes the wrapped environments.
        spaces: what they show.
        seed: the training run's; two runs share no episode seed, all environments start each episode from the same.
        num_envs: E.
        control: whether to subtract the prior's reward; measured once a seed, as many seeds at a time as
            there are environments.
        repeat: how many episodes in a row start from one seed.
        columns: H names of the columns that the rules look at.
        prior: the weights that rules move away from.

    Attributes:
        spent: student updates and dev passes of all episodes that were played.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        make_env: MakeEnv,
        spaces: Spaces,
        seed: int,
        num_envs: int = 1,
        control: bool = False,
        repeat: int = 1,
        columns: Sequence[str] = COLUMNS,
        prior: Actor = half,
    ) -> None:
        self.envs = make_env.vector(num_envs)
        self.num_envs, self.where, self.repeat = num_envs, positions(spaces, columns), repeat
        self.half = max(1, spaces.steps // 2)
        self.seeds = training_seeds(seed)
        self.control, self.prior = control, prior
        self.controls: dict[int, float] = {}
        self.episode, self.spent = -1, 0
        size = len(summary(self.envs.single_observation_space.sample()))
        self.single_observation_space = Box(-np.inf, np.inf, (size,), dtype=np.float32)
        self.single_action_space = Box(-BOUND, BOUND, (len(self.where),), dtype=np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Go to the next training seed; ``seed`` plays no part."""
        self.episode += 1
        return self._begin([self._seed] * self.num_envs), {}

    def step(
        self, actions: Thetas
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Play an episode under each rule (E, H), and begin the next.

        ``infos["final_info"]`` has the episodes' figures, ``gain`` (since the start) among them.
        """
        rewards, figures = self._play_batch(actions)
        final = {"final_obs": self._summaries(), "final_info": figures}
        if self.control:
            if self._seed not in self.controls:
                self._measure_control()
            rewards -= self.controls[self._seed]
        observations, infos = self.reset()
        over = np.ones(self.num_envs, dtype=np.bool_)
        return observations, rewards, over, ~over, infos | final

    def play(self, thetas: Thetas) -> tuple[NDArray[np.float64], dict[str, float]]:
        """An episode for each rule (M, H), M a multiple of the number of environments.

        Returns:
            Rewards (M,), and the mean of each figure at the episodes' ends.
        """
        rewards, figures = [], []
        for part in thetas.astype(np.float32).reshape(-1, self.num_envs, thetas.shape[1]):
            _, reward, _, _, infos = self.step(part)
            rewards.append(reward)
            figures.append(infos["final_info"])
        return np.concatenate(rewards), means(figures)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the wrapped environments."""
        self.envs.close()

    @property
    def _turn(self) -> int:
        return self.episode // self.repeat % TRAINING_SEEDS

    @property
    def _seed(self) -> int:
        return self.seeds[self._turn]

    def _measure_control(self) -> None:
        """Play the prior from the seed whose turn it is, and from those that follow, one an environment."""
        seeds = [self.seeds[(self._turn + i) % TRAINING_SEEDS] for i in range(self.num_envs)]
        self._begin(seeds)
        rewards, _ = self._play_batch(np.zeros((self.num_envs, len(self.where))))
        self.controls |= dict(zip(seeds, rewards.tolist(), strict=True))

    def _begin(self, seeds: list[int]) -> NDArray[np.float32]:
        self.observations, _ = self.envs.reset(seed=seeds)  # type: ignore[arg-type]  # its stubs know no lists
        return self._summaries()

    def _summaries(self) -> NDArray[np.float32]:
        return np.stack([summary(each) for each in split(self.observations, self.num_envs)])

    def _play_batch(self, thetas: Thetas) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """The episodes' rewards (E,) and figures."""

        def act(observations: Observation) -> Action:
            return apply_rule(thetas, observations, self.where, self.prior(observations))

        rewards, figures, self.observations = rollout_batch(self.envs, self.observations, act, self.half)
        self.spent += int(spent(figures).sum())
        return rewards, figures
