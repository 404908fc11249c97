"""Rules that believe some of the given labels: by teachers, by confident learning, or by who knows which are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_agents.heuristic import OneColumn
from l2a_agents.selector import Action, Observation

TINY = 1e-12


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


class CrossFittedBalanced(CrossFittedWeight):
    """Those weights, scaled so that each class has the share of all weight that it has of the target's labels.

    With v the weights of :class:`CrossFittedWeight` and q_y the column ``label_share``, a candidate of class y has

        w = v q_y / V_y,   V_y the sum of v over the candidates of this class that are shown

    divided by the largest of them. Where labels are wrong in one direction, or a class is rare in the sources, dropping
    texts alone leaves the classes out of balance. Without columns of the label, w = v.
    """

    env_options: Mapping[str, Any] = {"features": ["*", "label_share", "cross_fitted_label"]}

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights in [0, 1]."""
        weights, shown = super().act(observation), observation["candidates"]
        given = shown[..., [i for i, name in enumerate(self.spaces.columns) if name.startswith("label=")]]
        if not given.shape[-1]:
            return weights
        total = (weights[..., None] * given).sum(-2, keepdims=True)
        scale = (given / np.where(total > 0, total, 1)).sum(-1)
        balanced = weights * scale * shown[..., self.spaces.column("label_share")]
        return (balanced / np.maximum(balanced.max(-1, keepdims=True), TINY)).astype(np.float32)


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
