"""Tokenised texts with what is known of them: labels, and a teacher's logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2a_gym.distill.encode import Tokens


@dataclass(frozen=True)
class Labelled:
    """n tokenised texts with their labels (n,), on one device."""

    tokens: Tokens
    label: Tensor

    def to(self, device: torch.device) -> Labelled:
        """The same on ``device``."""
        return Labelled(self.tokens.to(device), self.label.to(device))


@dataclass(frozen=True)
class Taught(Labelled):
    """Labelled texts with a teacher's logits (n, C)."""

    teacher: Tensor

    def to(self, device: torch.device) -> Taught:
        """The same on ``device``."""
        return Taught(self.tokens.to(device), self.label.to(device), self.teacher.to(device))

    def take(self, rows: Tensor) -> Taught:
        """The texts at ``rows``, of one axis or more."""
        return Taught(self.tokens.take(rows), self.label[rows], self.teacher[rows])

    @staticmethod
    def cat(parts: list[Taught]) -> Taught:
        """All texts of ``parts``, in order; they are padded to one length."""
        return Taught(
            Tokens.cat([part.tokens for part in parts]),
            torch.cat([part.label for part in parts]),
            torch.cat([part.teacher for part in parts]),
        )
