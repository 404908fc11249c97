"""Fill observations by the tables in ``features.py``: prepared columns, and those that the students' outputs give."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from l2a_gym.distill.forward import Outputs
from l2a_gym.envs.context import ShownContext
from l2a_gym.envs.episode import TextEpisode, weight_shares
from l2a_gym.envs.features import DOMAIN, FEATURES, OPERATOR, STUDENT, Column, Groups, Moving
from l2a_gym.envs.observation import column_bounds
from l2a_gym.envs.world import World

TensorObservation = dict[str, Tensor]


def observe(
    world: World, columns: Sequence[str], outputs: Outputs, episodes: Sequence[TextEpisode], gradients: Tensor
) -> TensorObservation:
    """The observations (E, ...) of E episodes; zeros where a student diverged.

    Args:
        world: the fixed part.
        columns: of the candidates.
        outputs: the students' on their episodes' candidates, (E, N, ·).
        episodes: the moments.
        gradients: (E, C, H) dev gradients.
    """
    device = world.static.device
    rows = torch.from_numpy(np.stack([episode.rows for episode in episodes])).to(device)
    shown = ShownContext(outputs, world.texts.label[rows], world.texts.teacher[rows], gradients)
    weight = np.stack([episode.weight for episode in episodes]).reshape(-1, len(world.sizes), len(world.made))
    loss = FEATURES["student_loss"].value(shown)
    student = np.array([[column.value(each) for column in STUDENT.values()] for each in episodes], dtype=np.float32)

    def groups(size: Tensor, of: Tensor, axis: int) -> Groups:
        first = torch.arange(len(size), device=device) == 0
        mean = partial(_means, group=of[rows], groups=len(size))
        share = torch.from_numpy(weight_shares(weight, axis)).to(device)
        return Groups(first, size, share, loss, shown.given, mean, world.distance)

    found = {
        "candidates": _candidates(world.static[rows], columns, shown),
        "student": torch.from_numpy(student).to(device),
        "domains": _table(DOMAIN, groups(world.sizes, world.domain, axis=-1)),
        "operators": _table(OPERATOR, groups(world.made, world.operator, axis=-2)),
    }
    sane = torch.tensor([not episode.diverged for episode in episodes], device=device)
    return {name: each.where(sane.view(-1, *[1] * (each.ndim - 1)), 0.0) for name, each in found.items()}


def _candidates(candidates: Tensor, columns: Sequence[str], shown: ShownContext) -> Tensor:
    """Fill the columns that move into the fixed ones, (E, N, F)."""
    for position, name in enumerate(columns):
        if isinstance(feature := FEATURES.get(name), Moving):
            candidates[..., position] = feature.value(shown)
    low, high = (torch.from_numpy(bound).to(candidates.device) for bound in column_bounds(columns))
    return candidates.clamp(low, high)


def _table(columns: dict[str, Column[Groups]], groups: Groups) -> Tensor:
    """The table (E, G, ·) of groups; columns that are the same for all students are repeated."""
    return torch.stack(torch.broadcast_tensors(*(each.value(groups).float() for each in columns.values())), dim=-1)


def _means(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Means (E, groups) of values (E, N) by group, at most 1; 0 where a group has none."""
    total, shown = values.new_zeros(2, len(values), groups).unbind()
    total = total.scatter_add(1, group, values)
    shown = shown.scatter_add(1, group, torch.ones_like(values))
    return (total / shown.clamp(min=1)).clamp(max=1)
