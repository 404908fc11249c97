"""Interleaved timing: ratios hold where the machine's own speed drifts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from l2a_gym.errors import check_least
from l2a_gym.progress import progress_bar

Figures = dict[str, Any]
"""What a measurement found, by name; ready for JSON."""


def interleave(
    calls: Sequence[Callable[[], object]],
    repeats: int,
    device: torch.device,
    name: str,
) -> NDArray[np.float64]:
    """Seconds (repeats, len(calls)) of calls that take turns, after a few turns to warm up.

    On a GPU these are three: the first compiles, and the second may capture a CUDA graph.

    Args:
        calls: what is timed; their order turns round from turn to turn.
        repeats: turns that count.
        device: whose queue is waited for.
        name: of the progress bar.

    Raises:
        UserError: fewer than one repeat.
    """
    check_least("repeats", repeats)
    warm_up = 3 if device.type == "cuda" else 1
    seconds = np.zeros((warm_up + repeats, len(calls)))
    for turn in progress_bar(range(warm_up + repeats), desc=name, leave=False):
        for i in list(range(len(calls)))[:: -1 if turn % 2 else 1]:
            seconds[turn, i] = time_of(calls[i], device)
    return seconds[warm_up:]


def time_of(call: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, with all that it puts into the device's queue."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda _: None
    wait(device)
    start = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - start
