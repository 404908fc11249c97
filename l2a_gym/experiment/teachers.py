"""The teachers of a task in figures, and which of them is to teach the exported student."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from transformers import PreTrainedModel

from l2a_gym.distill.best import Best
from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import encode
from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.envs.episode import Scores
from l2a_gym.envs.reward import score
from l2a_gym.experiment.figures import Figures, texts_per_second
from l2a_gym.preparation.regressions import read_head
from l2a_gym.preparation.store import FROZEN, MEAN, TEACHERS, TUNED, Prepared, read_teacher
from l2a_gym.tasks.task import Task


def score_teacher(prepared: Prepared, teacher: str, split: str) -> Scores:
    """Scores of a teacher on a split of the target, from its stored logits."""
    rows = prepared.rows[split]
    return score(prepared.logits(teacher, rows), prepared.labels(rows))


def chosen_teacher(prepared: Prepared) -> str:
    """The teacher with the lowest loss on ``select`` among those that are within half a point of the most accurate."""
    rows = prepared.rows["select"]
    best: Best[str] = Best(prepared.labels(rows))
    for name in TEACHERS:
        if best.update(prepared.logits(name, rows)):
            best.kept = name
    return best.kept


def teacher_figures(task: Task, prepared: Prepared, device: torch.device) -> dict[str, Figures]:
    """Name -> figures, of all teachers."""
    checkpoint = prepared.manifest()["config"]["checkpoint"]
    tokenizer = load_tokenizer(checkpoint)

    def speed(model: PreTrainedModel, ask: Callable[..., object]) -> float:
        torch.nn.Module.to(model, device)
        return texts_per_second(
            lambda texts: ask(model, encode(tokenizer, texts, task.max_length).to(device)), task.test
        )

    cost = {}
    for name in TUNED:
        model = read_teacher(prepared.folder / name)
        cost[name] = model.num_parameters(), speed(model, predict)
    untuned = load_teacher(checkpoint, 2, 0)
    speed_of_vectors, encoder = speed(untuned, sentence_vectors), cast(PreTrainedModel, untuned.base_model)
    for name, owner in FROZEN.items():
        head = read_head(prepared.folder / owner)
        cost[name] = encoder.num_parameters() + head.weight.numel() + head.bias.numel(), speed_of_vectors
    cost[MEAN] = sum(cost[name][0] for name in TUNED), 1 / sum(1 / cost[name][1] for name in TUNED)
    return {
        name: Figures(
            dev_accuracy=score_teacher(prepared, name, "dev").accuracy,
            test_accuracy=score_teacher(prepared, name, "test").accuracy,
            labels=task.labels_used if name == "cross-fitted" else len(task.train) + len(task.dev),
            parameters=parameters,
            texts_per_second=rate,
        )
        for name, (parameters, rate) in cost.items()
    }
