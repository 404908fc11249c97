"""Fill observations: the prepared columns, and those that the students' outputs on the candidates shown give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.distill.forward import Outputs
from l2a_gym.distill.gradients import agreement
from l2a_gym.distill.losses import soft_target_loss
from l2a_gym.envs.episode import Episode
from l2a_gym.envs.observation import DYNAMIC, column_bounds
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World, entropy

Observation = dict[str, NDArray[np.float32]]
TensorObservation = dict[str, Tensor]


def observe(
    world: World, setup: Setup, outputs: Outputs, episodes: Sequence[Episode], gradients: Tensor
) -> TensorObservation:
    """The observations (E, ...) of E episodes, by the formulas of ``observation.py``; zeros where a student diverged.

    Args:
        world: the fixed part.
        setup: names of the columns, T and K.
        outputs: the students' on their episodes' candidates, (E, N, ·).
        episodes: the moments.
        gradients: (E, C, H) dev gradients.
    """
    device = world.static.device
    rows = torch.from_numpy(np.stack([episode.rows for episode in episodes])).to(device)
    label, teacher = world.texts.label[rows], world.texts.teacher[rows]
    loss = squash(F.cross_entropy(outputs.logits.mT, label, reduction="none"))
    probability = outputs.logits.softmax(2)
    dynamic = {
        "student_loss": loss,
        "student_entropy": entropy(probability),
        "student_confidence": probability.max(2).values,
        "kl": squash(soft_target_loss(outputs.logits.flatten(0, 1), teacher.flatten(0, 1), 1.0).view_as(loss)),
        "agreement": agreement(outputs, label, gradients),
    }
    candidates = world.static[rows]
    for name in DYNAMIC:
        if name in setup.columns:
            candidates[..., setup.columns.index(name)] = dynamic[name]
    low, high = (torch.from_numpy(bound).to(device) for bound in column_bounds(setup.columns))
    given = teacher.softmax(2).gather(2, label[..., None])[..., 0]
    found = {
        "candidates": candidates.clamp(low, high),
        "student": torch.from_numpy(_student(episodes, setup)).to(device),
        "domains": _domains(world, episodes, loss, world.domain[rows]),
        "operators": _operators(world, episodes, loss, given, world.operator[rows]),
    }
    sane = torch.tensor([not episode.diverged for episode in episodes], device=device)
    return {name: each.where(sane.view(-1, *[1] * (each.ndim - 1)), 0.0) for name, each in found.items()}


def squash(x: Tensor) -> Tensor:
    """x / (1 + x), from [0, inf) to [0, 1)."""
    return x / (1 + x)


def _student(episodes: Sequence[Episode], setup: Setup) -> NDArray[np.float32]:
    return np.array([_of_student(episode, setup) for episode in episodes], dtype=np.float32)


def _of_student(episode: Episode, setup: Setup) -> list[float]:
    left = (setup.steps - episode.t) * setup.updates / 100
    trend = episode.curve[-1] - episode.curve[-2] if episode.t and not episode.diverged else 0.0
    return [
        episode.scores.nll / (1 + episode.scores.nll),
        episode.scores.accuracy,
        episode.scores.macro_f1,
        min(max(trend, -1.0), 1.0),
        episode.train_loss / (1 + episode.train_loss),
        episode.t / setup.steps,
        left / (1 + left),
    ]


def _domains(world: World, episodes: Sequence[Episode], loss: Tensor, domain: Tensor) -> Tensor:
    d = len(world.sizes)
    fixed = np.stack([np.arange(d) == 0, world.sizes, world.distance], axis=1)
    selected = _shares(np.stack([episode.weight.reshape(d, -1).sum(1) for episode in episodes]))
    return _table(fixed, selected, _means(loss, domain, d))


def _operators(world: World, episodes: Sequence[Episode], loss: Tensor, given: Tensor, operator: Tensor) -> Tensor:
    o = len(world.made)
    fixed = np.stack([np.arange(o) == 0, world.made], axis=1)
    chosen = _shares(np.stack([episode.weight.reshape(-1, o).sum(0) for episode in episodes]))
    return _table(fixed, chosen, _means(loss, operator, o), _means(given, operator, o))


def _table(fixed: NDArray[np.float32], shares: NDArray[np.float64], *means: Tensor) -> Tensor:
    """Columns that are the same for all students (rows, f), then those of each (E, rows), side by side."""
    own = torch.from_numpy(np.concatenate([np.broadcast_to(fixed, (len(shares), *fixed.shape)), shares[..., None]], 2))
    return torch.cat([own.float().to(means[0].device), *(each.float()[..., None] for each in means)], dim=2)


def _shares(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return weight / np.maximum(weight.sum(1, keepdims=True), 1e-12)


def _means(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Means (E, groups) of values (E, N) by group, at most 1; 0 where a group has none."""
    total, shown = values.new_zeros(2, len(values), groups).unbind()
    total = total.scatter_add(1, group, values)
    shown = shown.scatter_add(1, group, torch.ones_like(values))
    return (total / shown.clamp(min=1)).clamp(max=1)
