"""What an agent does: weights for the candidates shown, trust in their labels, or a mixture to draw candidates from."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l2a_gym.errors import UserError

MODES = ("weights", "trust", "mixture")
SHARPNESS = 4.0
"""Mixture logits are the action times this: at the extremes, one group is e^8 times as likely as another."""


def action_space(mode: str, candidates: int, groups: int) -> spaces.Box:
    """``Box(-1, 1, (N,))`` for weights, ``(2N,)`` with trust, ``(groups,)`` for a mixture over domain x operator."""
    sizes = {"weights": candidates, "trust": 2 * candidates, "mixture": groups}
    return spaces.Box(-1.0, 1.0, (sizes[mode],), dtype=np.float32)


def check_action(action: object, space: spaces.Space[Any]) -> NDArray[np.float32]:
    """The action as float32, clipped to [-1, 1].

    Args:
        action: an array, a tensor or a list of numbers.
        space: of one environment, or of several.

    Raises:
        UserError: no numbers, a wrong shape, or a value that is not finite.
    """
    array = _numbers(action, space)
    if array.shape != space.shape:
        raise UserError(f"the action has shape {array.shape}: valid is {space.shape}")
    if not np.isfinite(array).all():
        place = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        where = ", ".join(map(str, place))
        raise UserError(f"the action is {array[place]} at place {where}: valid are finite numbers, -1 to 1")
    return np.clip(array, -1.0, 1.0).astype(np.float32, copy=False)


def _numbers(action: Any, space: spaces.Space[Any]) -> NDArray[Any]:
    """The action as an array of real numbers."""
    kind, valid = f"the action, a {type(action).__name__},", f"valid are real numbers, -1 to 1, of shape {space.shape}"
    if isinstance(action, np.ma.MaskedArray):
        raise UserError(f"{kind} may hide some of its values: {valid}, as the array's filled() gives")
    torch = sys.modules.get("torch")  # without it there are no tensors, and the toy environment needs none
    try:
        if torch and isinstance(action, torch.Tensor):
            kind = f"the action, a {action.layout} tensor of {action.dtype} on {action.device},"
            action = action.detach().cpu().numpy()
        array = np.asarray(action)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # ragged lists, or tensors of a kind that numpy lacks
        raise UserError(f"{kind} can't be read as an array: {valid}") from None
    if array.dtype.kind not in "fiub":
        raise UserError(f"{kind} holds values of type {array.dtype}: {valid}")
    return array


def weights_of(action: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights in [0, 1]: a positive value is the candidate's weight, any other drops it."""
    return np.maximum(action, 0)


def alphas_of(trust: NDArray[np.float32], alpha: float) -> NDArray[np.float32]:
    """The share of soft targets in a candidate's loss: ``alpha`` at 0, linear up to 1 at 1 and down to 0 at -1."""
    return np.interp(trust, [-1, 0, 1], [0, alpha, 1]).astype(np.float32)


def mixture_of(action: NDArray[np.float32], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities of the groups: softmax of the sharpened action over the groups that have candidates."""
    logits = np.where(sizes > 0, SHARPNESS * action.astype(np.float64), -np.inf)
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()
