"""The teachers of a task in figures, and which of them teaches the exported student."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from l2a_gym.distill.best import Best
from l2a_gym.envs.episode import Scores
from l2a_gym.envs.reward import score
from l2a_gym.experiment.figures import Figures, kept, texts_per_second
from l2a_gym.preparation.ask import OpenTeacher
from l2a_gym.preparation.store import AVERAGED, MEAN, TEACHERS, Prepared
from l2a_gym.tasks.task import Task


def score_teacher(prepared: Prepared, teacher: str, split: str) -> Scores:
    """Scores of a teacher on a split of the target, from its stored logits."""
    rows = prepared.rows[split]
    return score(prepared.logits(teacher, rows), prepared.labels(rows))


def chosen_teacher(prepared: Prepared) -> str:
    """The mean, unless others are ahead of it on ``select``: then of these the one with the lowest loss near the top.

    Where a few dozen texts decide, the most accurate teacher on them often owes that to luck; the mean of different
    teachers is rarely far behind the best.
    """
    rows = prepared.rows["select"]
    label, mean = prepared.labels(rows), prepared.logits(MEAN, rows)
    best: Best[str] = Best(label)
    best.kept = MEAN
    for name in TEACHERS:
        logits = prepared.logits(name, rows)
        if is_ahead(logits, mean, label) and best.update(logits):
            best.kept = name
    return best.kept


def is_ahead(logits: Tensor, of: Tensor, label: Tensor) -> bool:
    """Whether logits (n, C) are right more often than others, by more than a standard error of the difference.

    With b texts on which only the first are right, and c on which only the others are, that is b - c > √(b + c)
    (McNemar, 1947).
    """
    right, other = logits.argmax(1) == label, of.argmax(1) == label
    only_first, only_other = int((right & ~other).sum()), int((other & ~right).sum())
    return only_first > only_other and (only_first - only_other) ** 2 > only_first + only_other


def teacher_figures(task: Task, prepared: Prepared, device: torch.device) -> dict[str, Figures]:
    """Name -> figures, of all teachers; what was measured once is in the cache."""
    return {
        name: kept(prepared, f"{name} teacher", partial(_figures, name, task, prepared, device)) for name in TEACHERS
    }


def _figures(name: str, task: Task, prepared: Prepared, device: torch.device) -> Figures:
    parameters, speed = _cost(name, task, prepared, device)
    return Figures(
        dev_accuracy=score_teacher(prepared, name, "dev").accuracy,
        test_accuracy=score_teacher(prepared, name, "test").accuracy,
        labels=task.labels_used if name in ("cross-fitted", MEAN) else len(task.train) + len(task.dev),
        parameters=parameters,
        texts_per_second=speed,
    )


def _cost(name: str, task: Task, prepared: Prepared, device: torch.device) -> tuple[int, float]:
    """A teacher's parameters, and the texts that it classifies in a second."""
    if name == MEAN:
        sizes, speeds = zip(*(_cost(each, task, prepared, device) for each in AVERAGED), strict=True)
        return sum(sizes), 1 / sum(1 / speed for speed in speeds)
    opened = OpenTeacher(prepared, name, task.max_length, device)
    return opened.parameters, texts_per_second(opened, task.test)
