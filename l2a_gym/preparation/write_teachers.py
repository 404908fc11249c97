"""The stages ``base``, ``few-shot`` and ``all-data``: sentence vectors, and the teachers that are fine-tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from l2a_gym.augment.pool import draw_starts
from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.finetune import FineTuning, WithVectors, make_teacher
from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.regressions import SHOT_COPIES, Rows, arrays_of, credible, predict_all, read_vectors, spread
from l2a_gym.preparation.texts import own_labels, own_rows, own_texts, save_arrays
from l2a_gym.tasks.task import Task, Texts


def write_base(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """Sentence vectors (n, S, H) of the task's own texts by the checkpoint before any fine-tuning."""
    tokens = encode_whole(task, config, own_texts(task)).to(device)
    save_arrays(folder, vectors=sentence_vectors(untuned(config, device), tokens).numpy())


def untuned(config: Preparation, device: torch.device) -> PreTrainedModel:
    """The checkpoint before any fine-tuning, which knows no label."""
    return torch.nn.Module.to(load_teacher(config.checkpoint, 2, config.seed), device)


def encode_whole(task: Task, config: Preparation, parts: list[Texts]) -> Tokens:
    """What a teacher reads: the pieces of its whole vocabulary, also where a student knows fewer."""
    tokenizer = load_tokenizer(config.checkpoint)
    return Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts])


def write_few_shot(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """The teacher that learns from the shots, and its logits."""
    write_teacher(task, config, own_rows(task)["train"], device, folder, "few-shot", config.few_shot)


def write_all_data(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """The teacher that learns from sources and shots, and its logits; doubtful source texts are left out."""
    rows = own_rows(task)
    sources = spread(rows["sources"])
    if (weight := config.pool.preferred()) is not None:
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0xA11]))
        sources = spread(draw_starts(len(rows["sources"]), 1, weight[: len(rows["sources"])], rng))
    sources = sources[credible(task, sources, folder.parent)]
    learnt = np.concatenate([sources, np.tile(rows["train"], SHOT_COPIES)])
    write_teacher(task, config, learnt, device, folder, "all-data", config.all_data)


def write_teacher(
    task: Task,
    config: Preparation,
    train: Rows,
    device: torch.device,
    folder: Path,
    name: str,
    tuning: FineTuning,
) -> None:
    """A teacher by the given labels of some rows of the task's own texts, with the regression that it starts from.

    Writes the model, its logits on all own texts, and the regression's head and logits.
    """
    tokens = encode_whole(task, config, own_texts(task)).to(device)
    label = torch.from_numpy(own_labels(task)).to(device)
    vectors = read_vectors(folder.parent)

    def with_vectors(rows: Rows) -> WithVectors:
        index = torch.from_numpy(rows).to(device)
        return WithVectors(tokens.take(index), label[index], torch.from_numpy(vectors[rows]).to(device))

    model = torch.nn.Module.to(load_teacher(config.checkpoint, len(task.labels), config.seed), device)
    dev = own_rows(task)["dev"]
    teacher, head = make_teacher(model, with_vectors(train), with_vectors(dev), tuning, seed=config.seed, name=name)
    teacher.save_pretrained(folder / "model", safe_serialization=True)
    save_arrays(
        folder, logits=predict(teacher, tokens).cpu().numpy(), frozen=predict_all(head, vectors), **arrays_of(head)
    )
