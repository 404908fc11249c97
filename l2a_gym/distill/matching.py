"""The extra losses between a student's layers and its teacher's, and the projections that are learnt for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedConfig

from l2a_gym.distill.layers import TOKEN_AXES, Layers, Pairs, States
from l2a_gym.distill.losses import ATTENTION_LOSSES, EXTRA_LOSSES
from l2a_gym.errors import UserError

PROJECTED = ("hidden", "embedding", "patience")
"""Losses for which the student's states are projected to the teacher's width."""


@dataclass(frozen=True)
class Features:
    """What a teacher computes inside for n texts, in half precision, in memory or mapped from disk.

    Attributes:
        pairs: the layers that each loss compares.
        arrays: name of a loss -> one array (n, ...) float16 a pair, padded to the longest text.
    """

    pairs: Pairs = field(default_factory=dict)
    arrays: Mapping[str, Sequence[NDArray[np.float16]]] = field(default_factory=dict)

    def take(self, rows: Tensor, longest: int) -> States:
        """The states of some rows, cut to ``longest`` tokens, float32, on the device of ``rows``."""
        index = rows.cpu().numpy()

        def part(loss: str, array: NDArray[np.float16]) -> Tensor:
            return torch.from_numpy(array[token_index(loss, index, longest)]).to(rows.device).float()

        return {loss: [part(loss, array) for array in arrays] for loss, arrays in self.arrays.items()}


def token_index(loss: str, rows: NDArray[np.int64], longest: int) -> tuple[Any, ...]:
    """The index of the rows' first ``longest`` tokens in an array of the loss's states."""
    return (rows, *[slice(longest)] * TOKEN_AXES[loss])


class Matching(torch.nn.Module):
    """Weighted losses between layers; its parameters are the projections.

    Every matched layer of :data:`PROJECTED` has a linear map of its own, also where both widths are equal: a student's
    axes are not its teacher's, since its embeddings start as principal components.

    Args:
        weights: name of a loss -> its weight, > 0; none: no loss.
        attention: name of the attention loss.
        features: the teacher's side, for each name in ``weights``.
        student: its configuration.

    Raises:
        UserError: the teacher's side of a loss is missing.
    """

    def __init__(
        self, weights: Mapping[str, float], attention: str, features: Features, student: PreTrainedConfig
    ) -> None:
        super().__init__()
        missing = [loss for loss in weights if loss not in features.pairs]
        if missing:
            raise UserError(f"{', '.join(missing)}: the teacher's features are needed for every loss with a weight")
        self.weights = weights
        self.features = features
        self.layers: Layers = {loss: tuple(own for own, _ in features.pairs[loss]) for loss in weights}
        self._losses: dict[str, Callable[..., Tensor]] = EXTRA_LOSSES | {
            "attention": ATTENTION_LOSSES[attention],
            "relation": partial(EXTRA_LOSSES["relation"], heads=student.num_attention_heads),
        }
        linear = partial(torch.nn.utils.skip_init, torch.nn.Linear)  # which asks no global generator for values
        self.projections = torch.nn.ModuleDict(
            {
                _key(loss, layer): linear(student.hidden_size, array.shape[-1])
                for loss in weights
                if loss in PROJECTED
                for layer, array in zip(self.layers[loss], features.arrays[loss], strict=True)
            }
        )

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw the projections anew, so that states of unit variance keep it."""
        for parameter in self.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter.shape[1] ** -0.5)
            else:
                parameter.zero_()

    def forward(self, own: States, rows: Tensor, length: Tensor) -> Tensor:
        """The weighted sum of the losses of n texts, (n,) float32, >= 0; each is the mean over its pairs of layers.

        Args:
            own: the student's states of the texts, padded to the longest of them.
            rows: (n,) the texts' rows in the features.
            length: (n,) tokens of each text.
        """
        total = torch.zeros(len(rows), device=rows.device)
        if not self.weights:
            return total
        goal = self.features.take(rows, int(length.max()))
        for loss, weight in self.weights.items():
            pairs = zip(self._projected(loss, own[loss]), goal[loss], strict=True)
            total = total + weight * torch.stack([self._losses[loss](*pair, length) for pair in pairs]).mean(0)
        return total

    def _projected(self, loss: str, own: list[Tensor]) -> list[Tensor]:
        if loss not in PROJECTED:
            return own
        layers = self.layers[loss]
        return [self.projections[_key(loss, layer)](state) for layer, state in zip(layers, own, strict=True)]


def _key(loss: str, layer: int) -> str:
    return f"{loss}-{layer}"
