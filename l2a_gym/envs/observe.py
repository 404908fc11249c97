"""Fill an observation: the prepared columns, and those that the student's outputs on the candidates shown give."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.distill.distiller import agreement
from l2a_gym.distill.forward import Outputs
from l2a_gym.distill.losses import soft_target_loss
from l2a_gym.envs.episode import Episode
from l2a_gym.envs.observation import DYNAMIC, column_bounds
from l2a_gym.envs.world import World, entropy

Observation = dict[str, NDArray[np.float32]]


def observe(
    world: World, columns: tuple[str, ...], outputs: Outputs, episode: Episode, steps: int, updates: int
) -> Observation:
    """The observation of an episode's moment, by the formulas of ``observation.py``.

    Args:
        world: the fixed part.
        columns: the names of the candidates' F columns.
        outputs: the student's on ``episode.rows``.
        episode: the moment.
        steps: T.
        updates: K, student updates in a step.
    """
    rows = torch.from_numpy(episode.rows).to(world.static.device)
    candidates = world.static[rows]
    label, teacher = world.texts.label[rows], world.texts.teacher[rows]
    given = teacher.softmax(1).gather(1, label[:, None])[:, 0]
    loss = squash(F.cross_entropy(outputs.logits, label, reduction="none"))
    probability = outputs.logits.softmax(1)
    dynamic = {
        "student_loss": loss,
        "student_entropy": entropy(probability),
        "student_confidence": probability.max(1).values,
        "kl": squash(soft_target_loss(outputs.logits, teacher, 1.0)),
        "agreement": agreement(outputs, label, episode.gradient),
    }
    for name in DYNAMIC:
        if name in columns:
            candidates[:, columns.index(name)] = dynamic[name]
    return {
        "candidates": candidates.cpu().numpy().clip(*column_bounds(columns)),
        "student": _student(episode, steps, updates),
        "domains": _domains(world, episode, loss, world.domain[rows]),
        "operators": _operators(world, episode, loss, given, world.operator[rows]),
    }


def squash(x: Tensor) -> Tensor:
    """x / (1 + x), from [0, inf) to [0, 1)."""
    return x / (1 + x)


def _student(episode: Episode, steps: int, updates: int) -> NDArray[np.float32]:
    left = (steps - episode.t) * updates / 100
    trend = episode.curve[-1] - episode.curve[-2] if episode.t else 0.0
    return np.array(
        [
            episode.scores.nll / (1 + episode.scores.nll),
            episode.scores.accuracy,
            episode.scores.macro_f1,
            np.clip(trend, -1, 1),
            episode.train_loss / (1 + episode.train_loss),
            episode.t / steps,
            left / (1 + left),
        ],
        dtype=np.float32,
    )


def _domains(world: World, episode: Episode, loss: Tensor, domain: Tensor) -> NDArray[np.float32]:
    d = len(world.sizes)
    is_target = np.arange(d) == 0
    selected = _share(episode.weight.reshape(d, -1).sum(1))
    columns = [is_target, world.sizes, world.distance, selected, _means(loss, domain, d)]
    return np.stack(columns, axis=1, dtype=np.float32)


def _operators(world: World, episode: Episode, loss: Tensor, given: Tensor, operator: Tensor) -> NDArray[np.float32]:
    o = len(world.made)
    is_source = np.arange(o) == 0
    chosen = _share(episode.weight.reshape(-1, o).sum(0))
    columns = [is_source, world.made, chosen, _means(loss, operator, o), _means(given, operator, o)]
    return np.stack(columns, axis=1, dtype=np.float32)


def _share(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return weight / max(weight.sum(), 1e-12)


def _means(values: Tensor, group: Tensor, groups: int) -> NDArray[np.float64]:
    """Means (groups,) of values (n,) by group; 0 where a group has none."""
    shown = torch.bincount(group, minlength=groups)
    mean = torch.bincount(group, weights=values, minlength=groups) / shown.clamp(min=1)
    return mean.double().clamp(max=1).cpu().numpy()
