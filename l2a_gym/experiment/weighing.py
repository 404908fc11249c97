"""The weight that a trained selector gives each candidate of a task."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from l2a_agents.rollout import rollout
from l2a_agents.selector import Action, Observation, Selector
from numpy.typing import NDArray

from l2a_gym.distill.device import one_thread
from l2a_gym.experiment.adapter import DistillAdapter, distill
from l2a_gym.experiment.columns import ShownColumns
from l2a_gym.experiment.rows import rounded

AGREEMENT = "agreement"
"""The feature of candidates that tells what dev's labels say of each."""


@dataclass(frozen=True)
class Weighed:
    """What became of n candidates; those that the label policy drops have zeros.

    Attributes:
        shown: (n,) in how many steps of the final students each was shown.
        weight: (n,) mean weight in these steps, in [0, 1]; of one that was never shown, the weight that it would have
            had before the last student as it was in the end.
        agreement: (n,) mean of the feature ``agreement``, likewise.
    """

    shown: NDArray[np.int64]
    weight: NDArray[np.float64]
    agreement: NDArray[np.float64]


@one_thread()
def weigh(adapter: DistillAdapter, selector: Selector, seeds: Sequence[int]) -> Weighed:
    """Train final students under the selector's actions, then show it all candidates that were not drawn for them.

    Args:
        adapter: of the task.
        selector: plays its deterministic actions.
        seeds: of the students, at least one.
    """
    features = {name.partition("=")[0] for name in adapter.env(**selector.env_options).get_wrapper_attr("columns")}
    env = adapter.env(**{**selector.env_options, "features": sorted({*features, AGREEMENT})})
    view, inner = ShownColumns(env, features), distill(env)
    column = env.get_wrapper_attr("columns").index(AGREEMENT)
    shown, weight, agreement = np.zeros((3, inner.world.candidates))

    def look(observation: Observation) -> tuple[Action, NDArray[np.float32]]:
        action = rounded(selector.act(view.observation(observation), deterministic=True), inner.candidates)
        return action, observation["candidates"][:, column]

    def act(observation: Observation) -> Action:
        rows, (action, agrees) = inner.shown(), look(observation)
        for total, values in ((shown, 1), (weight, action[: len(rows)]), (agreement, agrees)):
            np.add.at(total, rows, values)
        return action

    for seed in seeds:
        deque(rollout(env, act, seed), maxlen=0)
    weight /= np.maximum(shown, 1)
    agreement /= np.maximum(shown, 1)
    usable = np.random.default_rng(seeds).permutation(inner.world.usable)  # as mixed as what an episode shows
    unseen = usable[shown[usable] == 0]
    for start in range(0, len(unseen), inner.candidates):
        rows = np.resize(np.concatenate([unseen[start:], usable]), inner.candidates)
        inner.batch.episodes[0].rows = rows
        observation = {name: each[0].cpu().numpy() for name, each in inner.batch.observe().items()}
        action, agrees = look(env.observation(observation))
        new = slice(0, len(unseen) - start)
        weight[rows[new]], agreement[rows[new]] = action[new], agrees[new]
    return Weighed(shown.astype(np.int64), weight, agreement)
