"""Learning rates over a training of a known length."""

from __future__ import annotations

from typing import Literal

import torch
from torch.optim.lr_scheduler import OneCycleLR


def one_cycle(
    optimizer: torch.optim.Optimizer, peak: float, updates: int, anneal: Literal["cos", "linear"] = "cos"
) -> OneCycleLR:
    """Warm-up over a tenth of the updates, then decay to almost nothing (Smith & Topin, 2019).

    Args:
        optimizer: whose rate it sets; call ``step`` after each update.
        peak: the highest rate.
        updates: how many; short trainings warm up over two.
        anneal: the shape of both parts, ``cos`` or ``linear``.
    """
    steps = max(updates, 3)  # PyTorch divides by the length of either part
    warm_up = max(0.1, 2 / steps)
    return OneCycleLR(optimizer, peak, total_steps=steps, pct_start=warm_up, anneal_strategy=anneal)
