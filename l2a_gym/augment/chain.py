"""A Markov chain over texts: mask some tokens, draw them again from a model's conditional, repeat.

After L2A's generator, which draws from a stationary distribution near the target, and Wang & Cho (2019), who read a
masked language model as such a chain. Each text is a chain of its own with a random stream of its own, so that what it
becomes does not depend on the texts that share its batch, up to the model's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.augment.settings import ChainConfig

Sites = tuple[Tensor, Tensor]
"""n positions in a batch of texts: their rows and their columns, (n,) each."""
Conditional = Callable[[Tensor, Sites], Tensor]
"""Logits (n, V) at n sites of ids (B, L); at all of them stands the mask."""


def walk(
    conditional: Conditional,
    ids: Tensor,
    free: NDArray[np.bool_],
    mask: int,
    allowed: Tensor,
    config: ChainConfig,
    streams: list[np.random.Generator],
) -> Iterator[Tensor]:
    """Walk from ``ids`` without end; yields the texts (B, L) that are kept.

    Args:
        conditional: the model.
        ids: (B, L) the texts to start from; they are left as they are.
        free: (B, L) positions that may change; a text without any stays as it is.
        mask: id of the mask.
        allowed: (V,) bool, tokens that may be drawn.
        config: how to walk.
        streams: a random stream for each text.
    """
    ids = ids.clone()
    barred = torch.where(allowed, 0.0, -torch.inf)
    sweeps = config.burn_in
    while True:
        for _ in range(sweeps * config.moves):
            _move(conditional, ids, free, mask, barred, config, streams)
        yield ids.clone()
        sweeps = config.thinning


def _move(
    conditional: Conditional,
    ids: Tensor,
    free: NDArray[np.bool_],
    mask: int,
    barred: Tensor,
    config: ChainConfig,
    streams: list[np.random.Generator],
) -> None:
    """Mask a random set of free positions of each text and draw them again, in place."""
    rows, columns, draws = [], [], []
    for i, (rng, positions) in enumerate(zip(streams, free, strict=True)):
        places = np.flatnonzero(positions)
        if not len(places):
            continue
        hidden = _hide(places, config, rng)
        columns.append(hidden)
        rows.append(np.full(len(hidden), i))
        draws.append(rng.random(len(hidden)))
    if not rows:
        return
    device = ids.device
    row, column = (torch.from_numpy(np.concatenate(part)).to(device) for part in (rows, columns))
    ids[row, column] = mask
    logits = conditional(ids, (row, column)).float() / config.temperature + barred
    ids[row, column] = draw(logits, torch.from_numpy(np.concatenate(draws)).to(device), config.top_k)


def _hide(places: NDArray[np.int64], config: ChainConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random share of the places, in blocks of neighbours, at least one block."""
    first = int(rng.integers(1, config.block, endpoint=True))
    blocks = np.array_split(places, np.arange(first, len(places), config.block))
    size = max(1, round(config.mask_share * len(places) / config.block))
    return np.concatenate([blocks[i] for i in rng.permutation(len(blocks))[:size]])


def draw(logits: Tensor, uniform: Tensor, top_k: int) -> Tensor:
    """Tokens (n,) from logits (n, V) by inverting the distribution at ``uniform`` (n,) in [0, 1)."""
    top = logits.topk(min(top_k, logits.shape[1]) if top_k else logits.shape[1], dim=1)
    cumulative = top.values.double().softmax(1).cumsum(1)
    rank = torch.searchsorted(cumulative, uniform.double()[:, None], right=True)[:, 0]
    last = (top.values > -torch.inf).sum(1) - 1  # rounding must not lead beyond the tokens that can be drawn
    return top.indices.gather(1, torch.minimum(rank, last)[:, None])[:, 0]
