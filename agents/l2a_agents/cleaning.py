"""Rules that believe some of the given labels: by teachers, by confident learning, or by who knows which are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_agents.heuristic import OneColumn
from l2a_agents.selector import Action, Observation


class Believed(OneColumn):
    """Weight 1 where a column is more than one half, 0 elsewhere.

    Of a probability of the given label this is agreement: no other class is likelier. With more than two classes it is
    a little stricter than being the likeliest.
    """

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones and zeros."""
        return (self.values(observation) > 0.5).astype(np.float32)


class FewShotAgrees(Believed):
    """The few-shot teacher agrees with the label."""

    column = "few_shot_label"


class AllDataAgrees(Believed):
    """The all-data teacher agrees with the label, though it may have learnt this very label by heart."""

    column = "all_data_label"


class MeanAgrees(Believed):
    """Both teachers agree with the label: by the mean of their probabilities."""

    column = "few_shot_label"

    def values(self, observation: Observation) -> NDArray[np.float64]:
        """The mean of two columns, (..., N)."""
        other = observation["candidates"][..., self.spaces.column("all_data_label")]
        return (super().values(observation) + other) / 2


class CrossFittedAgrees(Believed):
    """The cross-fitted teacher agrees with the label; it judges no text that it has learnt from."""

    env_options: Mapping[str, Any] = {"features": ["cross_fitted_label"]}
    column = "cross_fitted_label"


class CrossFittedWeight(OneColumn):
    """Weights that rise with the cross-fitted teacher's probability p of the label: clip(2 p - 1/2, 0, 1).

    Softer than :class:`CrossFittedAgrees`: a teacher of few labels is seldom sure.
    """

    env_options: Mapping[str, Any] = {"features": ["cross_fitted_label"]}
    column = "cross_fitted_label"

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights in [0, 1]."""
        return np.clip(2 * self.values(observation) - 0.5, 0, 1).astype(np.float32)


class Doubt(OneColumn):
    """Weight 1 for all, and where the cross-fitted teacher doubts the label, the teacher's answer in its place.

    Doubt is a probability of less than one half. All other candidates have the usual alpha.
    """

    env_options: Mapping[str, Any] = {"features": ["cross_fitted_label"], "action": "trust"}
    column = "cross_fitted_label"

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones, then trust (N,): 1 is the teacher's answer alone, 0 the usual alpha."""
        doubted = self.values(observation) < 0.5
        return np.concatenate([np.ones(len(doubted)), doubted]).astype(np.float32)


class ConfidentLearning(Believed):
    """Confident learning does not suspect the label (Northcutt et al., 2021)."""

    env_options: Mapping[str, Any] = {"features": ["plausible"]}
    column = "plausible"


class Oracle(Believed):
    """The control that knows which labels are wrong: keep the clean ones."""

    env_options: Mapping[str, Any] = {"features": ["clean"]}
    column = "clean"
