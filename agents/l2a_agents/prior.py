"""The fixed rules that choose texts, by name: each may be all there is to learn, and learning may start from each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from l2a_agents.cleaning import (
    AllDataAgrees,
    ConfidentLearning,
    CrossFittedAgrees,
    CrossFittedBalanced,
    CrossFittedWeight,
    FewShotAgrees,
    MeanAgrees,
)
from l2a_agents.fixed import OneDomain, Uniform, Without
from l2a_agents.rollout import Actor
from l2a_agents.selector import Action, Observation, Selector, Spaces, unknown

PRIOR = "cross-fitted-balanced"
"""The rule from which learners start that have a prior."""
JUDGES = ("cross_fitted_label", "plausible")
"""Columns that judge a label, shown on request."""
SHOWN: Mapping[str, Any] = {"features": ["*", "label_share", *JUDGES]}
"""What a selector that starts from any of the rules asks of the environment."""


def weighing_rules(spaces: Spaces) -> dict[str, Selector]:
    """The rules by name; their weights have the shape (..., N) for observations (..., N, F)."""
    return {
        "uniform": Uniform(spaces),
        "few-shot-agrees": FewShotAgrees(spaces),
        "all-data-agrees": AllDataAgrees(spaces),
        "mean-agrees": MeanAgrees(spaces),
        "cross-fitted-agrees": CrossFittedAgrees(spaces),
        "cross-fitted-weight": CrossFittedWeight(spaces),
        "cross-fitted-balanced": CrossFittedBalanced(spaces),
        "confident-learning": ConfidentLearning(spaces),
        **{f"without-{domain}": Without(spaces, OneDomain(domain)) for domain in spaces.domains[1:]},
    }


def half(observation: Observation) -> Action:
    """1/2 for all candidates."""
    return np.full(observation["candidates"].shape[:-1], 0.5, dtype=np.float32)


def prior_of(spaces: Spaces, name: str) -> Actor:
    """The weights of the rule of this name; :func:`half` where it is empty.

    Raises:
        ValueError: there is no such rule, or the environment does not show the column that it looks at.
    """
    if not name:
        return half
    rules = weighing_rules(spaces)
    if name not in rules:
        raise ValueError(unknown("prior", name, rules))
    for column in rules[name].env_options.get("features", ()):
        if column != "*":
            spaces.column(column)
    return rules[name].act
