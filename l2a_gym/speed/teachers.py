"""What the teachers of a task are worth and what they cost, beside a regression and the checkpoint's own classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.finetune import FineTuning, WithVectors, fine_tune, make_teacher
from l2a_gym.distill.heads import head_input
from l2a_gym.distill.regression import regression
from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.regressions import SHOT_COPIES
from l2a_gym.speed.clock import Figures
from l2a_gym.tasks.task import Task

Predictor = Callable[[WithVectors], Tensor]
"""From texts to logits (n, C)."""

OWN = {
    "few-shot": FineTuning(updates=120, batch=16, learning_rate=5e-5),
    "all-data": FineTuning(updates=300, batch=32, learning_rate=5e-5, looks=6),
}
"""Fine-tuning of the checkpoint's own classifier."""


def teachers(task: Task, config: Preparation, device: torch.device) -> Figures:
    """Teacher -> regression, own classifier and teacher -> dev and test accuracy in % and seconds of learning.

    The time to compute vectors is not in the seconds. Nothing is chosen by the accuracy on test.
    """
    texts, shots, dev, test = _read(task, config, device)
    learn = {"few-shot": (shots, config.few_shot), "all-data": (_cat([texts, *[shots] * SHOT_COPIES]), config.all_data)}
    return {
        name: dict(_compared(task, config, name, train, dev, test, tuning)) for name, (train, tuning) in learn.items()
    }


def _read(task: Task, config: Preparation, device: torch.device) -> list[WithVectors]:
    """The sources' texts, train, dev and test."""
    model, tokenizer = _load(task, config, device), load_tokenizer(config.checkpoint)
    found = []
    for parts in ([*task.sources.values()], [task.train], [task.dev], [task.test]):
        tokens = Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts]).to(device)
        label = torch.cat([torch.from_numpy(texts.label) for texts in parts]).to(device)
        found.append(WithVectors(tokens, label, sentence_vectors(model, tokens).to(device)))
    return found


def _load(task: Task, config: Preparation, device: torch.device) -> PreTrainedModel:
    model = load_teacher(config.checkpoint, len(task.labels), config.seed)
    torch.nn.Module.to(model, device)
    return model


def _cat(parts: list[WithVectors]) -> WithVectors:
    return WithVectors(
        Tokens.cat([part.tokens for part in parts]),
        torch.cat([part.label for part in parts]),
        torch.cat([part.vectors for part in parts]),
    )


def _compared(
    task: Task,
    config: Preparation,
    name: str,
    train: WithVectors,
    dev: WithVectors,
    test: WithVectors,
    tuning: FineTuning,
) -> Iterator[tuple[str, Figures]]:
    device = dev.label.device

    def regressed() -> Predictor:
        inputs, held_out = (head_input(part.vectors.float()) for part in (train, dev))
        head = regression(inputs, train.label, held_out, dev.label)
        return lambda part: head(head_input(part.vectors.float()))

    def own() -> Predictor:
        model = fine_tune(_load(task, config, device), train, dev, OWN[name], seed=config.seed, name=name)
        return lambda part: predict(model, part.tokens)

    def teacher() -> Predictor:
        model, _ = make_teacher(_load(task, config, device), train, dev, tuning, seed=config.seed, name=name)
        return lambda part: predict(model, part.tokens)

    for way, learn in {"regression": regressed, "own classifier": own, "teacher": teacher}.items():
        start = time.perf_counter()
        predictor = learn()
        seconds = time.perf_counter() - start
        right = {split: predictor(part).argmax(1) == part.label for split, part in (("dev", dev), ("test", test))}
        yield way, {**{split: 100 * float(each.float().mean()) for split, each in right.items()}, "seconds": seconds}
