"""What an agent does: weights for the candidates shown, or a mixture from which candidates are drawn."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l2a_gym.errors import UserError

MODES = ("weights", "mixture")
SHARPNESS = 4.0
"""Mixture logits are the action times this: at the extremes, one group is e^8 times as likely as another."""


def action_space(mode: str, candidates: int, groups: int) -> spaces.Box:
    """``Box(-1, 1, (N,))`` for weights, ``Box(-1, 1, (groups,))`` for a mixture over domain x operator."""
    return spaces.Box(-1.0, 1.0, (candidates if mode == "weights" else groups,), dtype=np.float32)


def check_action(action: object, space: spaces.Box) -> NDArray[np.float32]:
    """The action as float32, cut to [-1, 1].

    Raises:
        UserError: wrong shape, or a value that is not finite.
    """
    array = np.asarray(action, dtype=np.float32)
    if array.shape != space.shape:
        raise UserError(f"the action has shape {array.shape}: valid is {space.shape}")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise UserError(f"the action is {array[row]} at place {row}: valid are finite numbers, -1 to 1")
    return np.clip(array, -1, 1)


def weights_of(action: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights in [0, 1]: a positive value is the candidate's weight, any other drops it."""
    return np.maximum(action, 0)


def mixture_of(action: NDArray[np.float32], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities of the groups: softmax of the sharpened action over the groups that have candidates."""
    logits = np.where(sizes > 0, SHARPNESS * action.astype(np.float64), -np.inf)
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()
