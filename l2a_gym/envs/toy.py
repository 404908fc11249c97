"""``L2A-Toy-v0``: the spaces of ``L2A-Distill-v0`` over a made-up problem whose optimum is known, in numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from l2a_gym.envs.action import action_space, check_action, weights_of
from l2a_gym.envs.arguments import Checked, Described, takes
from l2a_gym.envs.episode import Episode, Scores, begun, weight_shares
from l2a_gym.envs.features import DOMAIN, OPERATOR, STUDENT, Column, Groups
from l2a_gym.envs.observation import Observation, candidate_columns, check_features, observation_space
from l2a_gym.envs.toy_candidates import DOMAINS, LABELS, OPERATORS, ToyCandidates, draw_candidates, usefulness
from l2a_gym.envs.viewer import RENDER, RENDER_MODES
from l2a_gym.errors import UserError, check_least

GROUPS = len(DOMAINS) * len(OPERATORS)


@dataclass(frozen=True, kw_only=True)
class ToyArguments(Checked):
    """The arguments of :class:`ToyEnv`, which explains them."""

    candidates: int = 32
    steps: int = 10
    noise: float = 0.0
    action: Annotated[str, ("weights", "trust")] = "weights"
    features: list[str] | None = None
    distillation: Mapping[str, Any] | None = None
    render_mode: Annotated[str, RENDER_MODES] | None = None


@dataclass(kw_only=True)
class ToyEpisode(Episode):
    """An episode with its made-up candidates."""

    candidates: ToyCandidates


@dataclass(frozen=True)
class ToyState:
    """A moment of an environment: the episode and the random stream's state."""

    episode: ToyEpisode
    random: dict[str, Any]


class ToyEnv(Described, gym.Env[Any, Any]):
    """Choose and weight made-up candidates, some of which teach a made-up student and some of which harm it.

    For debugging agents: every column, key and error is that of ``L2A-Distill-v0``, a step takes a fraction of a
    millisecond, and the best return is known.

    Problem: a candidate is useful by u = 0.7 * (2 * p - 1) + 0.3 * d, in [-1, 1], where p is its column
    ``all_data_label``, near 0 or 1 more often than between, and d its column ``domain_log_odds``, around 0.5, 0, -0.5
    in the domains target, near, far. Half of the candidates harm. The column ``clean`` is 1 where u > 0; the others are
    noisy signs of u, or noise. The candidates shown do not depend on what was chosen before, nor on ``features``.

    Observation: that of ``L2A-Distill-v0``.

    Action: ``Box(-1, 1, (N,))``. A positive value is the candidate's weight w, any other drops it. There is no mixture
    mode, and the weights are not normalised: the best action is 1 where u > 0, and to drop the others. With
    ``action="trust"``, N further values change nothing: a made-up student has no teacher to believe.

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
        action: ``weights`` or ``trust``.
        features: names of the candidates' features; None: the same as in ``L2A-Distill-v0``.
        distillation: changes nothing: a made-up student has no teacher to learn from.
        render_mode: ``ansi``, ``rgb_array`` or None.

    Raises:
        UserError: a value that is not valid.
    """

    domains = DOMAINS
    operators = OPERATORS
    updates = 1
    observation_space: spaces.Dict
    action_space: spaces.Box

    @takes(ToyArguments)
    def __init__(self, arguments: ToyArguments) -> None:
        check_least("candidates", arguments.candidates)
        check_least("steps", arguments.steps)
        if not 0 <= arguments.noise < np.inf:
            raise UserError(f"noise = {arguments.noise}: valid are finite numbers from 0")
        self.arguments, self.render_mode = arguments, arguments.render_mode
        self.candidates, self.steps = arguments.candidates, arguments.steps
        features = check_features(arguments.features, len(LABELS))
        self.columns = candidate_columns(features, {"domain": DOMAINS, "operator": OPERATORS, "label": LABELS})
        self.observation_space = observation_space(self.candidates, self.columns, len(DOMAINS), len(OPERATORS))
        self.action_space = action_space(arguments.action, self.candidates, GROUPS)
        self._episode: ToyEpisode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: a student without skill, and candidates drawn from the seed."""
        super().reset(seed=seed)
        self._episode = ToyEpisode(
            metric="nll",
            steps=self.steps,
            step_updates=self.updates,
            groups=GROUPS,
            scores=_scores(nll=1.0),
            candidates=draw_candidates(self.np_random, self.candidates, skill=0.0),
        )
        return self._observe(), self._episode.info(DOMAINS)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Teach the student what the action chose.

        Raises:
            UserError: no numbers, a wrong shape, or a value that is not finite; nothing has changed then.
            ResetNeeded: before the first reset, or after the end of an episode.
        """
        episode = begun(self._episode)
        episode.check_going()
        weights = weights_of(check_action(action, self.action_space)[: self.candidates])
        gain = float(weights @ episode.candidates.usefulness) / (self.candidates * self.steps)
        noise = self.arguments.noise * float(self.np_random.standard_normal())
        nll = -(episode.curve[-1] + gain + noise)
        reward = episode.book(episode.candidates.group, weights, nll, _scores(nll))
        episode.candidates = draw_candidates(self.np_random, self.candidates, skill=1 - nll)
        return self._observe(), reward, episode.over, False, episode.info(DOMAINS)

    def metagradient(
        self, actions: NDArray[np.float32], dev: slice = slice(None)
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Give the derivatives (T, N) of the last nll by the weights: -u / (N * T), whatever the actions and ``dev``.

        Raises:
            UserError: actions as in :meth:`step`.
            ResetNeeded: the episode has not begun, or took a step.
        """
        episode = begun(self._episode)
        episode.check_fresh()
        twin, useful = self.fork(), []
        for action in check_action(actions, batch_space(self.action_space, self.steps)):
            useful.append(begun(twin._episode).candidates.usefulness)
            twin.step(action)
        episode.book_metagradient()
        gradient = -np.array(useful) / (self.candidates * self.steps)
        return gradient.astype(np.float32), episode.info(DOMAINS)

    def usefulness(self, observation: Observation) -> NDArray[np.float64]:
        """Compute u of the candidates seen, (N,), from their columns ``all_data_label`` and ``domain_log_odds``.

        Raises:
            UserError: they are not shown.
        """
        names = ("all_data_label", "domain_log_odds")
        if hidden := [name for name in names if name not in self.columns]:
            raise UserError(
                f"features = {self.arguments.features}: {' and '.join(hidden)} must be shown to compute usefulness"
            )
        label, near = (observation["candidates"][:, self.columns.index(name)].astype(np.float64) for name in names)
        return usefulness(label, near)

    def optimal_action(self, observation: Observation) -> NDArray[np.float32]:
        """Give the best action: full weight to all that is useful, none to the rest."""
        return np.where(self.usefulness(observation) > 0, 1, -1).astype(np.float32)

    def optimal_return(self, seed: int) -> float:
        """Give the largest sum of rewards in the episode of ``reset(seed=seed)``; with noise, the largest expected."""
        env, total = ToyEnv(candidates=self.candidates, steps=self.steps), 0.0  # without noise, candidates are the same
        env.reset(seed=seed)
        while not (episode := begun(env._episode)).over:
            total += env.step((episode.candidates.usefulness > 0).astype(np.float32))[1]
        return total

    def save_state(self) -> ToyState:
        """Copy this moment: episode and random stream."""
        return ToyState(deepcopy(begun(self._episode)), deepcopy(dict(self.np_random.bit_generator.state)))

    def restore_state(self, state: ToyState) -> None:
        """Go back to a moment of this environment or of one made with the same arguments."""
        self._episode = deepcopy(state.episode)
        self.np_random.bit_generator.state = deepcopy(state.random)

    def fork(self) -> ToyEnv:
        """Make a second environment at the same moment."""
        twin = ToyEnv(**vars(self.arguments))
        twin.restore_state(self.save_state())
        return twin

    def render(self) -> str | NDArray[np.uint8] | None:
        """``ansi``: weights by domain x operator and the dev curve as text; ``rgb_array``: the same as a picture."""
        if self.render_mode is None:
            return None
        return RENDER[self.render_mode](DOMAINS, OPERATORS, begun(self._episode))

    def _observe(self) -> Observation:
        episode = begun(self._episode)
        shown, weight = episode.candidates, episode.weight.reshape(len(DOMAINS), len(OPERATORS))
        return {
            "candidates": shown.seen(self.columns),
            "student": np.array([column.value(episode) for column in STUDENT.values()], dtype=np.float32),
            "domains": _table(DOMAIN, shown.by_domain(weight_shares(weight, axis=-1))),
            "operators": _table(OPERATOR, shown.by_operator(weight_shares(weight, axis=-2))),
        }


def _scores(nll: float) -> Scores:
    """Scores of a student that is one less nll skilled: its accuracy is half of one and the skill, in [0, 1]."""
    accuracy = min(max(1 - nll / 2, 0.0), 1.0)
    return Scores(nll, accuracy, accuracy)


def _table(columns: dict[str, Column[Groups]], groups: Groups) -> NDArray[np.float32]:
    return np.stack([column.value(groups) for column in columns.values()], axis=1, dtype=np.float32)
