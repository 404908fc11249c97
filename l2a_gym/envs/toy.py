"""``L2A-Toy-v0``: the spaces of ``L2A-Distill-v0`` over a made-up problem whose optimum is known, in numpy alone."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from l2a_gym.envs.action import action_space, check_action, weights_of
from l2a_gym.envs.arguments import PlainSpec, checked_arguments
from l2a_gym.envs.observation import DOMAIN, OPERATOR, STUDENT, candidate_columns, check_features, observation_space
from l2a_gym.envs.toy_candidates import DOMAINS, OPERATORS, ToyCandidates, draw_candidates, usefulness
from l2a_gym.envs.viewer import RENDER, RENDER_MODES
from l2a_gym.errors import UserError, check_least

Observation = dict[str, NDArray[np.float32]]


@dataclass
class ToyEpisode:
    """The mutable part of an episode.

    Attributes:
        candidates: those shown.
        curve: the skill less one after each step, more is better.
        weight: (G,) weight given to each domain x operator so far.
        shown: (G,) candidates of each that were offered so far.
        t: steps taken.
        selected: share of the candidates chosen in the last step.
        updates: student updates so far.
        dev_passes: passes over dev so far.
    """

    candidates: ToyCandidates
    curve: list[float]
    weight: NDArray[np.float64]
    shown: NDArray[np.float64]
    t: int = 0
    selected: float = 0.0
    updates: int = 0
    dev_passes: int = 1

    @property
    def nll(self) -> float:
        """One less the skill; below zero only with noise."""
        return -self.curve[-1]

    @property
    def accuracy(self) -> float:
        """Half of one and the skill, cut to [0, 1]."""
        return min(max(1 - self.nll / 2, 0.0), 1.0)

    def info(self, domains: tuple[str, ...]) -> dict[str, Any]:
        """Give the numbers of a step under the keys of ``L2A-Distill-v0``."""
        by_domain = self.weight.reshape(len(domains), -1).sum(1) / max(self.weight.sum(), 1e-12)
        return {
            "dev_nll": self.nll,
            "dev_accuracy": self.accuracy,
            "dev_macro_f1": self.accuracy,
            "train_loss": self.nll if self.t else 0.0,
            "selected": self.selected,
            "updates": self.updates,
            "dev_passes": self.dev_passes,
            "diverged": False,
        } | {f"weight/{domain}": float(share) for domain, share in zip(domains, by_domain, strict=True)}


@dataclass(frozen=True)
class ToyState:
    """A moment of an environment: the episode and the random stream's state."""

    episode: ToyEpisode
    random: dict[str, Any]


class ToyEnv(PlainSpec, gym.Env[Any, Any]):
    """Choose and weight made-up candidates, some of which teach a made-up student and some of which harm it.

    For debugging agents: every column, key and error is that of ``L2A-Distill-v0``, a step takes a fraction of a
    millisecond, and the best return is known.

    Problem: a candidate is useful by u = 0.7 * (2 * p - 1) + 0.3 * d, in [-1, 1], where p is its column
    ``all_data_label``, near 0 or 1 more often than between, and d its column ``domain_log_odds``, around 0.5, 0, -0.5
    in the domains target, near, far. Half of the candidates harm. The column ``clean`` is 1 where u > 0; the others are
    noisy signs of u, or noise. The candidates shown do not depend on what was chosen before, nor on ``features``.

    Observation: that of ``L2A-Distill-v0``.

    Action: ``Box(-1, 1, (N,))``. A positive value is the candidate's weight w, any other drops it. There is no mixture
    mode, and the weights are not normalised: the best action is 1 where u > 0, and to drop the others.

    Reward: the gain of skill, sum(w * u) / (N * T), plus Gaussian noise of standard deviation ``noise``. The skill
    starts at 0 and, without noise, stays in [-1, 1]; rewards add up to the last skill. ``info["dev_nll"]`` is
    1 - skill.

    Termination: after T steps. Never truncated.

    Example:
        >>> env = gym.make("l2a_gym:L2A-Toy-v0")
        >>> observation, info = env.reset(seed=0)
        >>> observation, *_ = env.step(env.unwrapped.optimal_action(observation))

    Versions:
        v0: the first.

    Args:
        candidates: N.
        steps: T.
        noise: standard deviation of the noise in each reward; 0.01 is about half of the best reward for T = 10.
        features: names of the candidates' features; None: the same as in ``L2A-Distill-v0``.
        render_mode: ``ansi``, ``rgb_array`` or None.

    Raises:
        UserError: a value that is not valid.
    """

    metadata = {"render_modes": [*RENDER_MODES], "render_fps": 4}  # noqa: RUF012
    domains = DOMAINS
    operators = OPERATORS
    student_columns, domain_columns, operator_columns = tuple(STUDENT), tuple(DOMAIN), tuple(OPERATOR)
    updates = 1
    observation_space: spaces.Dict
    action_space: spaces.Box

    @checked_arguments()
    def __init__(
        self,
        *,
        candidates: int = 32,
        steps: int = 10,
        noise: float = 0.0,
        features: list[str] | None = None,
        render_mode: Annotated[str, RENDER_MODES] | None = None,
    ) -> None:
        check_least("candidates", candidates)
        check_least("steps", steps)
        if not 0 <= noise < np.inf:
            raise UserError(f"noise = {noise}: valid are finite numbers from 0")
        self.candidates, self.steps, self.noise, self.render_mode = candidates, steps, noise, render_mode
        self.features = features
        self.columns = candidate_columns(check_features(features), DOMAINS, OPERATORS)
        self.observation_space = observation_space(candidates, self.columns, len(DOMAINS), len(OPERATORS))
        self.action_space = action_space("weights", candidates, len(DOMAINS) * len(OPERATORS))
        self._episode: ToyEpisode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: a student without skill, and candidates drawn from the seed."""
        super().reset(seed=seed)
        weight, shown = np.zeros((2, len(DOMAINS) * len(OPERATORS)))
        self._episode = ToyEpisode(self._draw(skill=0.0), [-1.0], weight, shown)
        return self._observe(), self._episode.info(DOMAINS)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Teach the student what the action chose.

        Raises:
            UserError: no numbers, a wrong shape, or a value that is not finite; nothing has changed then.
            ResetNeeded: before the first reset, or after the end of an episode.
        """
        episode = self._begun()
        if episode.t >= self.steps:
            raise ResetNeeded("the episode is over: call reset() before the next step()")
        weights = weights_of(check_action(action, self.action_space))
        gain = float(weights @ episode.candidates.usefulness) / (self.candidates * self.steps)
        episode.curve.append(episode.curve[-1] + gain + self.noise * float(self.np_random.standard_normal()))
        episode.t += 1
        episode.updates += self.updates
        episode.dev_passes += 1
        episode.selected = float((weights > 0).mean())
        group = episode.candidates.group
        episode.weight += np.bincount(group, weights=weights, minlength=len(episode.weight))
        episode.shown += np.bincount(group, minlength=len(episode.shown))
        episode.candidates = self._draw(skill=1 - episode.nll)
        reward = episode.curve[-1] - episode.curve[-2]
        return self._observe(), reward, episode.t >= self.steps, False, episode.info(DOMAINS)

    def usefulness(self, observation: Observation) -> NDArray[np.float64]:
        """Compute u of the candidates seen, (N,), from their columns ``all_data_label`` and ``domain_log_odds``.

        Raises:
            UserError: they are not shown.
        """
        names = ("all_data_label", "domain_log_odds")
        if hidden := [name for name in names if name not in self.columns]:
            raise UserError(f"features = {self.features}: {' and '.join(hidden)} must be shown to compute usefulness")
        label, near = (observation["candidates"][:, self.columns.index(name)].astype(np.float64) for name in names)
        return usefulness(label, near)

    def optimal_action(self, observation: Observation) -> NDArray[np.float32]:
        """Give the best action: full weight to all that is useful, none to the rest."""
        return np.where(self.usefulness(observation) > 0, 1, -1).astype(np.float32)

    def optimal_return(self, seed: int) -> float:
        """Give the largest sum of rewards in the episode of ``reset(seed=seed)``; with noise, the largest expected."""
        return self._return(seed, lambda shown: shown.usefulness > 0)

    def uniform_return(self, seed: int) -> float:
        """Give the sum of rewards of weight 1 for all in that episode; with noise, the expected."""
        return self._return(seed, lambda shown: shown.usefulness > -np.inf)

    def save_state(self) -> ToyState:
        """Copy this moment: episode and random stream."""
        return ToyState(deepcopy(self._begun()), deepcopy(dict(self.np_random.bit_generator.state)))

    def restore_state(self, state: ToyState) -> None:
        """Go back to a moment of this environment or of one made with the same arguments."""
        self._episode = deepcopy(state.episode)
        self.np_random.bit_generator.state = deepcopy(state.random)

    def fork(self) -> ToyEnv:
        """Make a second environment at the same moment."""
        twin = ToyEnv(
            candidates=self.candidates,
            steps=self.steps,
            noise=self.noise,
            features=self.features,
            render_mode=self.render_mode,
        )
        twin.restore_state(self.save_state())
        return twin

    def render(self) -> str | NDArray[np.uint8] | None:
        """``ansi``: weights by domain x operator and the dev curve as text; ``rgb_array``: the same as a picture."""
        if self.render_mode is None:
            return None
        return RENDER[self.render_mode](DOMAINS, OPERATORS, self._begun(), "nll")

    def _begun(self) -> ToyEpisode:
        if self._episode is None:
            raise ResetNeeded("call reset() first: no episode has begun")
        return self._episode

    def _return(self, seed: int, chosen: Callable[[ToyCandidates], NDArray[np.bool_]]) -> float:
        """Play an episode without noise; its candidates are those of the episode with noise."""
        env, over, total = ToyEnv(candidates=self.candidates, steps=self.steps), False, 0.0
        env.reset(seed=seed)
        while not over:
            _, reward, over, _, _ = env.step(chosen(env._begun().candidates).astype(np.float32))
            total += reward
        return total

    def _draw(self, skill: float) -> ToyCandidates:
        return draw_candidates(self.np_random, self.candidates, skill)

    def _observe(self) -> Observation:
        episode = self._begun()
        trend = episode.curve[-1] - episode.curve[-2] if episode.t else 0.0
        loss, left = max(episode.nll, 0.0), (self.steps - episode.t) * self.updates / 100
        squashed_loss = loss / (1 + loss)
        student = [
            squashed_loss,
            episode.accuracy,
            episode.accuracy,
            min(max(trend, -1.0), 1.0),
            squashed_loss if episode.t else 0.0,
            episode.t / self.steps,
            left / (1 + left),
        ]
        return {
            "candidates": episode.candidates.seen(self.columns),
            "student": np.array(student, dtype=np.float32),
            "domains": self._domains(episode),
            "operators": self._operators(episode),
        }

    def _domains(self, episode: ToyEpisode) -> NDArray[np.float32]:
        weight = episode.weight.reshape(len(DOMAINS), -1).sum(1)
        loss = _means(episode.candidates.columns["student_loss"], episode.candidates.domain, len(DOMAINS))
        columns = [[1, 0, 0], [1 / 3] * 3, [0, 0.5, 1], weight / max(weight.sum(), 1e-12), loss]
        return np.stack([np.asarray(column) for column in columns], axis=1, dtype=np.float32)

    def _operators(self, episode: ToyEpisode) -> NDArray[np.float32]:
        weight = episode.weight.reshape(-1, len(OPERATORS)).sum(0)
        loss, label = (
            _means(episode.candidates.columns[name], episode.candidates.operator, len(OPERATORS))
            for name in ("student_loss", "few_shot_label")
        )
        columns = [[1, 0], [2 / 3, 1 / 3], weight / max(weight.sum(), 1e-12), loss, label]
        return np.stack([np.asarray(column) for column in columns], axis=1, dtype=np.float32)


def _means(values: NDArray[np.float32], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Means (groups,) of values (n,) by group; 0 where a group has none."""
    count = np.bincount(group, minlength=groups)
    mean: NDArray[np.float64] = np.bincount(group, weights=values, minlength=groups) / np.maximum(count, 1)
    return mean
