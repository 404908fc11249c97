"""The stage ``answers``: what every teacher predicts for all prepared rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.regressions import predict_all, read_head, read_vectors
from l2a_gym.preparation.store import FROZEN, OUT_OF_FOLD, TUNED, read_candidates, read_teacher
from l2a_gym.preparation.texts import own_rows, save_arrays
from l2a_gym.preparation.write_teachers import encode_whole, untuned
from l2a_gym.tasks.task import Task


def write_answers(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """What teachers predict: for the task's own texts it is known, only made ones are asked for."""
    stage, given = folder.parent, own_rows(task)["train"][0]
    candidates = read_candidates(stage / "pool")
    made = candidates.take(np.arange(given, len(candidates)))
    own = read_vectors(stage)
    vectors, tokens = np.empty((0, *own.shape[1:]), dtype=own.dtype), None
    if len(made):
        tokens = encode_whole(task, config, [made]).to(device)
        vectors = sentence_vectors(untuned(config, device), tokens).numpy()

    def tuned(name: str) -> NDArray[np.float32]:
        if tokens is None:
            return np.empty((0, len(task.labels)), dtype=np.float32)
        return predict(torch.nn.Module.to(read_teacher(stage / name), device), tokens).cpu().numpy()

    def whole(known: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([known[:given], new, known[given:]])

    def known(name: str) -> NDArray[np.float32]:
        return np.load(stage / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    seen = len(candidates) + len(task.train) + len(task.dev)
    save_arrays(
        folder,
        vectors=whole(own, vectors)[:seen].reshape(seen, -1),
        **{name: whole(known(f"{name}/logits"), tuned(name)) for name in TUNED},
        **{
            name: whole(known(f"{owner}/frozen"), predict_all(read_head(stage / owner), vectors))
            for name, owner in {**FROZEN, OUT_OF_FOLD: OUT_OF_FOLD}.items()
        },
    )
