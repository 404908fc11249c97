"""All streams of seeds of an experiment; the same for every selector, so that scores are paired."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

EXPORT, EVALUATION, ABLATION, TASKS = 1, 2, 3, 4
"""Streams: the exported student; fresh students of an evaluation; those of an ablation; the first of the tasks'."""
RENEWAL = 0x9001
"""The stream of episodes that show what a selector prefers."""


def episode_seeds(stream: int, count: int, seed: int) -> list[int]:
    """Seeds of episodes: every training seed and stream has its own."""
    return [int(word) for word in np.random.SeedSequence([seed, stream, 0x5EED]).generate_state(count)]


def student_seeds(task: str, count: int, seed: int) -> list[int]:
    """Seeds of final students; other ones on each task."""
    return episode_seeds(_stream(task), count, seed)


def training_seed(task: str, seed: int, spent: int = 0) -> int:
    """What a training starts from, or goes on from after it was stopped; another one on each task."""
    (first,) = episode_seeds(_stream(task) + 1, 1, seed)
    return int(np.random.SeedSequence([first, spent]).generate_state(1)[0]) if spent else first


def renewal_seeds(count: int, seed: int) -> list[int]:
    """Seeds of the episodes in which a trained selector is watched, before the pool is made anew."""
    return [int(word) for word in np.random.SeedSequence([seed, RENEWAL]).generate_state(count)]


def _stream(task: str) -> int:
    """Draws on different tasks are independent, as the statistics take them to be; a file's folder is no matter."""
    return TASKS + int.from_bytes(hashlib.sha256(Path(task).name.encode()).digest()[:4], "big")
