"""The stages ``base``, ``few-shot``, ``all-data`` and ``answers``: the teachers, and what they predict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from l2a_gym.augment.pool import draw_starts
from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.finetune import FineTuning, WithVectors, make_teacher
from l2a_gym.distill.teacher import predict, sentence_vectors, vectors_of_sides
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import TEACHERS, read_candidates, read_teacher
from l2a_gym.preparation.texts import own_texts, save_arrays
from l2a_gym.tasks.task import Task, Texts

SHOT_COPIES = 4
"""How often the shots stand among the source texts that the all-data teacher learns from."""
LEARNT = 2**15
"""Source texts, at most, that the all-data teacher learns from."""


def write_base(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """Sentence vectors of the task's own texts by the teacher before any fine-tuning, so that they know no label."""
    seen = [*task.sources.values(), task.train, task.dev]
    model, tokens = _untuned(config, device), _encode(task, config, seen).to(device)
    save_arrays(folder, vectors=sentence_vectors(model, tokens).numpy())
    if tokens.pairs:
        save_arrays(folder, sides=vectors_of_sides(model, tokens).numpy())


def _of_sides(base: Path) -> NDArray[np.float16]:
    """Vectors (n, S, H) of the stage ``base``: of both sides of pairs, else of the text alone."""
    if (base / "sides.npy").is_file():
        return np.load(base / "sides.npy", mmap_mode="r", allow_pickle=False)
    return np.load(base / "vectors.npy", mmap_mode="r", allow_pickle=False)[:, None]


def _untuned(config: Preparation, device: torch.device) -> PreTrainedModel:
    return torch.nn.Module.to(load_teacher(config.checkpoint, 2, config.seed), device)


def _encode(task: Task, config: Preparation, parts: list[Texts]) -> Tokens:
    """What a teacher reads: the pieces of its whole vocabulary, also where a student knows fewer."""
    tokenizer = load_tokenizer(config.checkpoint)
    return Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts])


def write_few_shot(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """The teacher that learns from the shots, and its logits."""
    write_teacher(task, config, _shots(task), device, folder, "few-shot", config.few_shot)


def write_all_data(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """The teacher that learns from sources and shots, and its logits."""
    shots = _shots(task)
    sources = np.arange(shots[0])
    if (weight := config.pool.preferred()) is not None:
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0xA11]))
        sources = draw_starts(len(sources), 1, weight[: len(sources)], rng)
    spread = np.linspace(0, len(sources) - 1, min(LEARNT, len(sources))).round().astype(np.int64)
    rows = np.concatenate([sources[spread], np.tile(shots, SHOT_COPIES)])
    write_teacher(task, config, rows, device, folder, "all-data", config.all_data)


def _shots(task: Task) -> NDArray[np.int64]:
    """The rows of the shots among the task's own texts."""
    return np.arange(len(task.train)) + sum(map(len, task.sources.values()))


def write_teacher(
    task: Task,
    config: Preparation,
    train: NDArray[np.int64],
    device: torch.device,
    folder: Path,
    name: str,
    tuning: FineTuning,
) -> None:
    """A teacher by the given labels of some rows of the task's own texts, and its logits on all of them."""
    own = own_texts(task)
    tokens = _encode(task, config, own).to(device)
    label = torch.from_numpy(np.concatenate([texts.label for texts in own])).to(device)
    vectors = _of_sides(folder.parent / "base")

    def with_vectors(rows: NDArray[np.int64]) -> WithVectors:
        index = torch.from_numpy(rows).to(device)
        return WithVectors(tokens.take(index), label[index], torch.from_numpy(vectors[rows]).to(device))

    model = torch.nn.Module.to(load_teacher(config.checkpoint, len(task.labels), config.seed), device)
    dev = np.arange(len(vectors) - len(task.dev), len(vectors))
    teacher = make_teacher(model, with_vectors(train), with_vectors(dev), tuning, seed=config.seed, name=name)
    teacher.save_pretrained(folder / "model", safe_serialization=True)
    save_arrays(folder, logits=predict(teacher, tokens).cpu().numpy())


def write_answers(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """What the teachers say of all prepared rows: of the task's own texts it is known, only made ones are asked for."""
    stage, sources = folder.parent, sum(map(len, task.sources.values()))
    candidates = read_candidates(stage / "pool")
    made = candidates.take(np.arange(sources, len(candidates)))

    def add(known: str, ask: Callable[[Tokens], NDArray[Any]]) -> NDArray[Any]:
        own = np.load(stage / f"{known}.npy", mmap_mode="r", allow_pickle=False)
        new = [ask(_encode(task, config, [made]).to(device))] if len(made) else []
        return np.concatenate([own[:sources], *new, own[sources:]])

    def logits(name: str, tokens: Tokens) -> NDArray[np.float32]:
        return predict(torch.nn.Module.to(read_teacher(stage / name), device), tokens).cpu().numpy()

    save_arrays(
        folder,
        vectors=add("base/vectors", lambda tokens: sentence_vectors(_untuned(config, device), tokens).numpy()),
        **{name: add(f"{name}/logits", partial(logits, name)) for name in TEACHERS},
    )
