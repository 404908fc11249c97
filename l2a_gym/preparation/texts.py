"""The texts of a task, in the order that prepared rows have, and the hashes that tell tasks apart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_gym.tasks.task import Task, Texts, unlabelled_texts


def fingerprint(task: Task) -> str:
    """Hash of a task: its id, names, length, texts, labels and flips; of a task file its name, wherever it lies."""
    name = Path(task.id).name if task.id.endswith(".toml") else task.id
    digest = hashlib.sha256(json.dumps([name, task.domains, task.max_length, task.labels]).encode())
    for texts in own_texts(task):
        digest.update(json.dumps([texts.text, texts.pair, texts.label.tolist()]).encode())
    for flipped in task.flipped.values():
        digest.update(flipped.tobytes())
    return digest.hexdigest()


def fingerprint_of_texts(task: Task) -> str:
    """Hash of a task's texts and their length, whatever their labels."""
    digest = hashlib.sha256(str(task.max_length).encode())
    for texts in own_texts(task):
        digest.update(json.dumps([texts.text, texts.pair]).encode())
    return digest.hexdigest()


def own_texts(task: Task) -> list[Texts]:
    """The texts that every pool of a task shares: those of each source, those without labels, then the splits."""
    return [*task.sources.values(), *unlabelled_texts(task), *splits(task).values()]


def splits(task: Task) -> dict[str, Texts]:
    """The target's texts by split, in the order of the prepared rows; none in ``select`` where it is ``dev``."""
    select = task.select.take([]) if task.select is task.dev else task.select
    return {"train": task.train, "dev": task.dev, "select": select, "test": task.test}


def own_rows(task: Task) -> dict[str, NDArray[np.int64]]:
    """The rows of all ``sources``, of the ``unlabelled`` texts and of each split, among the task's own texts."""
    parts = {
        "sources": sum(map(len, task.sources.values())),
        "unlabelled": len(task.unlabelled),
        **{name: len(part) for name, part in splits(task).items()},
    }
    ends = np.cumsum(list(parts.values()))
    return {name: np.arange(end - size, end) for (name, size), end in zip(parts.items(), ends, strict=True)}


def own_labels(task: Task) -> NDArray[np.int64]:
    """The labels (n,) of the task's own texts as they are given."""
    return np.concatenate([texts.label for texts in own_texts(task)])


def save_arrays(folder: Path, **arrays: NDArray[Any]) -> None:
    """Write ``<name>.npy`` for each array into a folder."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
