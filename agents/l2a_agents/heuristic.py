"""Rules of one column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from l2a_agents.selector import Action, Fixed, Observation


class TopShare(Fixed):
    """Keep the share of the shown candidates that is highest in one column."""

    column: str
    share: float

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones for the highest, zeros for the rest; ties go to the first."""
        values = observation["candidates"][:, self.spaces.column(self.column)]
        action = np.zeros(len(values), dtype=np.float32)
        action[np.argsort(-values, kind="stable")[: round(self.share * len(values))]] = 1
        return action


class TeacherConfidence(TopShare):
    """The half that the teacher is surest of."""

    column, share = "teacher_confidence", 0.5


class Similarity(TopShare):
    """The quarter that is most like the target."""

    column, share = "similarity", 0.25


class Oracle(Fixed):
    """The control that knows which labels were flipped: keep the clean ones."""

    env_options: ClassVar[Mapping[str, Any]] = {"features": ["clean"]}

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The column ``clean``."""
        return observation["candidates"][:, self.spaces.column("clean")]
