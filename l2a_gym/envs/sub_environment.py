"""One student's episodes, all but the student's arithmetic: draws, bookkeeping and reward."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy, deepcopy
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_gym.envs.action import mixture_of, weights_of
from l2a_gym.envs.episode import DIVERGED, Scores, TextEpisode, begun
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World

PHRASES = 2
"""Phrases that join an update, for each labelled text that does."""


class SubEnvironment:
    """The episodes of one of the students that learn side by side.

    Args:
        setup: the environment's.
        world: its texts.
    """

    def __init__(self, setup: Setup, world: World) -> None:
        self.setup, self.world = setup, world
        self.random = np.random.default_rng()
        self.episode: TextEpisode | None = None

    def begun(self) -> TextEpisode:
        """The episode.

        Raises:
            ResetNeeded: none has begun.
        """
        return begun(self.episode)

    def draw_head(self) -> int:
        """The seed of the next student's classifier."""
        return int(self.random.integers(2**31))

    def begin(self, scores: Scores, anchors: str) -> None:
        """Begin an episode with a student that has these scores on dev; its anchors are drawn from those named."""
        labelled = self.world.anchors(anchors)
        rows, drawn = self._draw(labelled)
        self.episode = TextEpisode(
            metric=self.setup.arguments.metric,
            steps=self.setup.steps,
            step_updates=self.setup.updates,
            groups=len(self.world.groups),
            scores=scores,
            rows=rows,
            labelled=labelled,
            anchors=drawn,
        )

    def weigh(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights (N,) that a checked action gives to the candidates; a mixture draws them first."""
        if self.setup.arguments.action != "mixture":
            return weights_of(action[: self.setup.candidates])
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
        return t % self.setup.arguments.dev_every == 0 or t == self.setup.steps

    def preview(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], float]]:
        """Candidates, anchors and rate of each step that is left; episode and random stream stay as they are."""
        twin = SubEnvironment(self.setup, self.world)
        twin.random, twin.episode = deepcopy(self.random), copy(self.begun())
        while not twin.episode.over:
            yield twin.episode.rows, twin.episode.anchors, twin.rate
            twin.episode.t += 1
            twin.episode.rows, twin.episode.anchors = twin._draw(twin.episode.labelled)

    def baseline_gain(self, scores: Scores) -> float:
        """What uniform weights gained, by the scores that they led to."""
        episode = self.begun()
        episode.updates += self.setup.updates
        episode.dev_passes += 1
        gain = scores.value(episode.metric) - episode.scores.value(episode.metric)
        return gain if isfinite(gain) else DIVERGED

    def finish(
        self, weights: NDArray[np.float32], loss: float, scores: Scores | None, baseline: float
    ) -> tuple[float, bool]:
        """Book a step and draw the next candidates.

        Args:
            weights: (N,) of its candidates.
            loss: mean training loss.
            scores: of the student now, where a pass over dev is due.
            baseline: gain of uniform weights.

        Returns:
            The reward, and whether the episode is over.
        """
        episode = self.begun()
        gain = episode.book(self.world.group[episode.rows], weights, loss, scores)
        if episode.diverged:
            return DIVERGED, True
        episode.rows, episode.anchors = self._draw(episode.labelled)
        return gain - baseline, episode.over

    def info(self) -> dict[str, Any]:
        """The info of this moment."""
        return self.begun().info(self.setup.domains)

    def _draw(self, labelled: range) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Candidates to show, without repetition where the pool allows, and anchors for the next step."""
        usable, size = self.world.usable, self.setup.candidates
        rows = self.random.choice(usable, size=size, replace=len(usable) < size)
        anchors = self.setup.updates * self.setup.distillation.anchors
        drawn = self.random.integers(labelled.start, labelled.stop, size=anchors)
        if phrases := self.world.phrases_of(labelled):
            cut = self.random.integers(phrases.start, phrases.stop, size=PHRASES * anchors)
            drawn = np.concatenate([drawn, cut])
        return rows, drawn

    def _sample(self, action: NDArray[np.float32]) -> NDArray[np.int64]:
        """Candidates drawn from the mixture, with repetition."""
        groups = self.world.groups
        odds = mixture_of(action, np.array([len(group) for group in groups]))
        counts = self.random.multinomial(self.setup.candidates, odds)
        return np.concatenate([self.random.choice(g, size=k) for g, k in zip(groups, counts, strict=True) if k])
