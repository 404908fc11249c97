"""Texts without padding: where the tokens of E students' texts stand packed, and where padded.

Axes: E students, n texts of each, T tokens of the longest, M tokens of a student's texts without padding, H wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MULTIPLE = 64
"""M is a multiple of this: few shapes, so that the memory of a pass fits the next one."""


def padded_size(tokens: int) -> int:
    """M for a student of so many tokens."""
    return -(-tokens // MULTIPLE) * MULTIPLE


class _Move(torch.autograd.Function):
    """Rows of x (a, H) at ``there`` (b,). Its gradient moves back the same way, by ``back`` (a,), where ``real`` (a,).

    Where each row goes to at most one place that counts, this is the gradient of an index, without a sum.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor, real: Tensor) -> Tensor:
        ctx.save_for_backward(back, real)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        back, real = ctx.saved_tensors
        return gradients[0].index_select(0, back).masked_fill(~real[:, None], 0), None, None, None


_move: Callable[..., Tensor] = _Move.apply


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tokens of E x n texts stand: packed without padding, and padded to T.

    Attributes:
        place: (E * M,) each packed token's position among the E * n * T padded ones. Students with fewer than M tokens
            are filled up with copies of their first token, which nobody reads.
        real: (E, M) bool, tokens that are no such copies.
        packed: (E * n * T,) each padded position's token among the E * M packed ones; for padding, its text's last.
        position: (E, M) each packed token's place in its text.
        mask: (E * n, T) bool, positions that are no padding.
    """

    place: Tensor
    real: Tensor
    packed: Tensor
    position: Tensor
    mask: Tensor

    @staticmethod
    def from_lengths(length: Tensor, size: int, longest: int) -> Layout:
        """The layout of texts of (E, n) tokens; nothing waits for the device.

        Args:
            length: tokens of each text.
            size: M, at least the largest of a student's sums.
            longest: T, at least the largest length.
        """
        students, n = length.shape
        ends = length.cumsum(1)
        begins = ends - length
        number = torch.arange(size, device=length.device).expand(students, size).contiguous()
        text = torch.searchsorted(ends, number, right=True)
        real = text < n
        text = text * real
        position = (number - begins.gather(1, text)) * real
        student = torch.arange(students, device=length.device)[:, None]
        place = (student * n + text) * longest + position
        step = torch.arange(longest, device=length.device)
        packed = (student * size + begins)[..., None] + torch.minimum(step, length[..., None] - 1)
        return Layout(place.flatten(), real, packed.flatten(), position, (step < length[..., None]).flatten(0, 1))

    def pad(self, packed: Tensor) -> Tensor:
        """(E, M, H) to (E * n, T, H)."""
        padded: Tensor = _move(packed.flatten(0, 1), self.packed, self.place, self.real.flatten())
        return padded.view(*self.mask.shape, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """(E * n, T, H) to (E, M, H)."""
        packed: Tensor = _move(padded.flatten(0, 1), self.place, self.packed, self.mask.flatten())
        return packed.view(*self.real.shape, -1)

    def mean(self, packed: Tensor) -> Tensor:
        """(E, M, H) to the mean over each text's tokens, (E, n, H)."""
        seen = self.mask[..., None]
        precise = torch.promote_types(packed.dtype, torch.float32)
        total = self.pad(packed).masked_fill(~seen, 0).sum(1, dtype=precise)
        return (total / seen.sum(1)).to(packed.dtype).unflatten(0, (len(packed), -1))

    def attend(self, scores: Tensor) -> Tensor:
        """Scores (E * n, heads, queries, T) to probabilities."""
        return scores.masked_fill(~self.mask[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)
