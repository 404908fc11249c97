"""One student's episodes, all but the student's arithmetic: draws, bookkeeping and reward."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from l2a_gym.envs.action import mixture_of, weights_of
from l2a_gym.envs.episode import Episode
from l2a_gym.envs.reward import Scores
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World

DIVERGED = -1.0
"""The reward of a step after which the student's loss is not finite; the episode ends there."""


class SubEnvironment:
    """The episodes of one of the students that learn side by side.

    Args:
        setup: the environment's.
        world: its texts.
    """

    def __init__(self, setup: Setup, world: World) -> None:
        self.setup, self.world = setup, world
        self.random = np.random.default_rng()
        self.episode: Episode | None = None

    def begun(self) -> Episode:
        """The episode.

        Raises:
            ResetNeeded: none has begun.
        """
        if self.episode is None:
            raise ResetNeeded("call reset() first: no episode has begun")
        return self.episode

    def draw_head(self) -> int:
        """The seed of the next student's classifier."""
        return int(self.random.integers(2**31))

    def begin(self, scores: Scores) -> None:
        """Begin an episode with a student that has these scores on dev."""
        rows, anchors = self._draw()
        weight, shown = np.zeros((2, len(self.world.groups)))
        self.episode = Episode(rows, anchors, scores, [scores.value(self.setup.metric)], weight, shown)

    def check_going(self) -> None:
        """Raise a :class:`ResetNeeded` before the first reset, or after the end of an episode."""
        episode = self.begun()
        if episode.diverged or episode.t >= self.setup.steps:
            raise ResetNeeded("the episode is over: call reset() before the next step()")

    def weigh(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights (N,) that a checked action gives to the candidates; a mixture draws them first."""
        if self.setup.action == "weights":
            return weights_of(action)
        self.begun().rows = self._sample(action)
        return np.ones(self.setup.candidates, dtype=np.float32)

    @property
    def rate(self) -> float:
        """Factor of the learning rate: it falls to zero with the horizon, so that the last student has settled."""
        return 1 - self.begun().t / self.setup.steps

    @property
    def due(self) -> bool:
        """Whether the step that is taken now has a pass over dev."""
        t = self.begun().t + 1
        return t % self.setup.dev_every == 0 or t == self.setup.steps

    def control_gain(self, scores: Scores) -> float:
        """What uniform weights gained, by the scores that they led to."""
        episode, metric = self.begun(), self.setup.metric
        episode.updates += self.setup.updates
        episode.dev_passes += 1
        gain = scores.value(metric) - episode.scores.value(metric)
        return gain if isfinite(gain) else DIVERGED

    def finish(
        self, weights: NDArray[np.float32], loss: float, scores: Scores | None, control: float
    ) -> tuple[float, bool]:
        """Book a step and draw the next candidates.

        Args:
            weights: (N,) of its candidates.
            loss: mean training loss.
            scores: of the student now, where a pass over dev is due.
            control: gain of uniform weights.

        Returns:
            The reward, and whether the episode is over.
        """
        episode = self.begun()
        episode.train_loss = loss
        episode.t += 1
        episode.updates += self.setup.updates
        episode.count(self.world.group[episode.rows], weights)
        if scores is None:
            scores = episode.scores
        else:
            episode.dev_passes += 1
        if not (isfinite(loss) and isfinite(scores.nll)):
            episode.diverged = True
            return DIVERGED, True
        episode.scores = scores
        episode.curve.append(scores.value(self.setup.metric))
        episode.rows, episode.anchors = self._draw()
        return episode.curve[-1] - episode.curve[-2] - control, episode.t >= self.setup.steps

    def info(self) -> dict[str, Any]:
        """The info of this moment."""
        return self.begun().info(self.setup.domains)

    def _draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Candidates to show, without repetition where the pool allows, and anchors for the next step."""
        n, total, usable = self.world.candidates, len(self.world.texts.label), self.world.usable
        size = self.setup.candidates
        rows = self.random.choice(usable, size=size, replace=len(usable) < size)
        return rows, self.random.integers(n, total, size=self.setup.updates * self.setup.distillation.anchors)

    def _sample(self, action: NDArray[np.float32]) -> NDArray[np.int64]:
        """Candidates drawn from the mixture, with repetition."""
        groups = self.world.groups
        odds = mixture_of(action, np.array([len(group) for group in groups]))
        counts = self.random.multinomial(self.setup.candidates, odds)
        return np.concatenate([self.random.choice(g, size=k) for g, k in zip(groups, counts, strict=True) if k])
