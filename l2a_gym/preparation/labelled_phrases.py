"""Phrases of the target's labelled texts, with what a teacher says of them."""

from __future__ import annotations

import numpy as np
import torch

from l2a_gym.augment.operator import Sides, sides_of
from l2a_gym.augment.phrases import phrases
from l2a_gym.distill.data import Taught
from l2a_gym.distill.encode import encode
from l2a_gym.preparation.ask import ask
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.task import Task


def answered_phrases(task: Task, prepared: Prepared, teacher: str, copies: int, device: torch.device) -> Taught:
    """So many phrases of each labelled text, in the order of the prepared rows ``train``, ``dev`` and ``select``.

    Their label is the teacher's. They are the same whatever the episode's seed, and are not kept on disk: short texts
    are answered quickly.
    """
    cut = phrases(_labelled(task, prepared), copies, np.random.default_rng(prepared.manifest()["config"]["seed"]))
    logits = ask(prepared, teacher, cut, task.max_length, device)
    return Taught(encode(prepared.tokenizer(), cut, task.max_length), logits.argmax(1), logits)


def _labelled(task: Task, prepared: Prepared) -> list[Sides]:
    """The texts of those rows; where ``select`` is ``dev``, they stand there once."""
    parts = [task.train, task.dev]
    if prepared.rows["select"] != prepared.rows["dev"]:
        parts.append(task.select)
    return [sides for part in parts for sides in sides_of(part)]
