"""What credits of single candidates say together: of columns, by regression, and of rules, to first order.

A credit c_ti says what more weight for candidate i in step t would be worth on dev. Credits of single candidates are
noisy; here they are pooled over all candidates of several episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l2a_agents.rule import standardise
from l2a_agents.selector import Action, Observation

Floats = NDArray[np.floating[Any]]


class Credited(NamedTuple):
    """An episode under uniform weights, without its first step.

    AdamW begins with updates that are nearly signs of the gradient, whose slopes are rare spikes.

    Attributes:
        gain: since its start, averaged over the states of its second half.
        observations: of its steps.
        credit: (T - 1, N) of the candidates.
    """

    gain: float
    observations: Sequence[Observation]
    credit: Floats


def direction(episodes: Sequence[Credited], where: list[int], ridge: float) -> Floats:
    """What each column is worth: ridge regression of credit on columns, of length 1; (H,), 0 where credit says nothing.

    With y = c, standardised in each step, and standardised columns z of the candidates,

        beta_r = (Z'Z / n + ridge * I)^-1 Z'y / n

    for episode r; then their mean, :func:`shrunk`.

    Args:
        episodes: with credit.
        where: the columns' positions.
        ridge: on standardised columns.
    """
    beta = shrunk(np.array([_regress(each, where, ridge) for each in episodes]))
    size = np.linalg.norm(beta)
    return beta / size if size > 0 else beta


def _regress(episode: Credited, where: list[int], ridge: float) -> Floats:
    z = np.concatenate([standardise(each["candidates"][:, where]) for each in episode.observations])
    y = np.concatenate([standardise(each[:, None])[:, 0] for each in episode.credit])
    beta: Floats = np.linalg.solve(z.T @ z / len(z) + ridge * np.eye(z.shape[1]), z.T @ y / len(z))
    return beta


def shrunk(betas: Floats) -> Floats:
    """The mean m of betas (R, H), each entry times m^2 / (m^2 + s^2), its share of signal; s is the mean's error."""
    mean = betas.mean(0)
    error = betas.std(0, ddof=min(1, len(betas) - 1)) / np.sqrt(len(betas))
    result: Floats = mean**3 / np.maximum(mean**2 + error**2, 1e-12)
    return result


def alignment(act: Callable[[Observation], Action], episodes: Sequence[Credited]) -> float:
    """How far other weights point along credit from uniform ones: a cosine in [-1, 1], mean over episodes.

    With weights w_ti, divided by their mean over the candidates of a step as the student does, the gain to first order
    is sum of c_ti (w_ti - 1). Divided by the norms of c and w - 1, it does not favour the largest move.
    """
    found = []
    for episode in episodes:
        weights = np.maximum([act(each) for each in episode.observations], 0)
        move = weights / np.maximum(weights.mean(1, keepdims=True), 1e-9) - 1
        norms = np.linalg.norm(episode.credit) * np.linalg.norm(move)
        found.append(float((episode.credit * move).sum() / max(norms, 1e-12)))
    return float(np.mean(found))
