"""The stages ``out-of-fold`` and ``cross-fitted``: what regressions on sentence vectors tell of a task's own texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.distill.best import Best
from l2a_gym.distill.calibration import temperature
from l2a_gym.distill.heads import head_input
from l2a_gym.distill.regression import Head, cross_fit, regression
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import OUT_OF_FOLD
from l2a_gym.preparation.texts import own_labels, own_rows, save_arrays
from l2a_gym.tasks.task import Task

Rows = NDArray[np.int64]

SHOT_COPIES = 4
"""How often the shots stand among the source texts that the all-data teacher learns from."""
LEARNT = 2**15
"""Source texts, at most, that a teacher learns from."""
PENALTIES = (0.1, 1.0, 10.0)
"""The values of C that are tried where a regression is fitted to each of the folds."""
DOUBT = 0.12
"""Source labels are doubted where a regression is so much less often right on them than on dev, as an accuracy."""


def spread(rows: Rows) -> Rows:
    """At most :data:`LEARNT` of the rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, min(LEARNT, len(rows))).round().astype(np.int64)]


def write_out_of_fold(task: Task, config: Preparation, folder: Path) -> None:
    """Regressions on the given labels of sources and shots: none judges a text that it has learnt from."""
    rows, label = own_rows(task), torch.from_numpy(own_labels(task))
    vectors, sources = read_vectors(folder.parent), spread(rows["sources"])
    learnt = np.concatenate([sources, rows["train"]])
    copies = np.repeat([1, SHOT_COPIES], [len(sources), len(rows["train"])])
    logits, head = cross_fit(
        inputs_of(vectors[learnt]),
        label[learnt],
        torch.from_numpy(copies).double(),
        torch.arange(len(learnt)),
        classes=len(task.labels),
        penalties=PENALTIES,
        seed=config.seed,
    )
    _save(folder, vectors, learnt, logits, head)


def credible(task: Task, sources: Rows, stage: Path) -> NDArray[np.bool_]:
    """Which source texts a teacher should learn from: all of them, or those whose label a regression confirms.

    The regression of the stage ``out-of-fold`` predicts the label of a text that it has not learnt from. Where sources
    are labelled as the target is, it is about as often right on them as on dev. If it is worse by :data:`DOUBT`, then
    many labels are wrong, or mean another thing there; the unconfirmed texts are left out if a regression without them
    is no worse on dev.
    """
    rows, label = own_rows(task), torch.from_numpy(own_labels(task))
    vectors = read_vectors(stage)

    def inputs(which: Rows) -> Tensor:
        return inputs_of(vectors[which])

    def right_on_dev(head: Head) -> float:
        return float((head(inputs(rows["dev"])).argmax(1) == label[rows["dev"]]).float().mean())

    def learnt_from(which: Rows) -> float:
        learnt = np.concatenate([which, np.tile(rows["train"], SHOT_COPIES)])
        return right_on_dev(regression(inputs(learnt), label[learnt], inputs(rows["dev"]), label[rows["dev"]]))

    judge = stage / OUT_OF_FOLD
    predicted = np.load(judge / "frozen.npy", mmap_mode="r", allow_pickle=False)[sources].argmax(1)
    confirmed: NDArray[np.bool_] = predicted == label[sources].numpy()
    doubtful = confirmed.mean() < right_on_dev(read_head(judge)) - DOUBT
    if doubtful and learnt_from(sources[confirmed]) >= learnt_from(sources):
        return confirmed
    return np.ones(len(sources), dtype=np.bool_)


def write_cross_fitted(task: Task, config: Preparation, folder: Path) -> None:
    """Regressions on all labels of the target: none judges a text that it has learnt from.

    They learn from train, dev and select alone, or from the sources as well, which together weigh as much; whichever is
    better on the labels of the target.
    """
    rows, label = own_rows(task), torch.from_numpy(own_labels(task))
    vectors = read_vectors(folder.parent)
    target = np.unique(np.concatenate([rows[name] for name in ("train", "dev", "select")]))
    best: Best[tuple[Rows, Tensor, Head]] = Best(label[target])
    for sources in (np.empty(0, dtype=np.int64), spread(rows["sources"])):
        learnt = np.concatenate([sources, target])
        weight = torch.ones(len(learnt), dtype=torch.float64)
        weight[len(sources) :] = max(1.0, len(sources) / len(target))
        logits, head = cross_fit(
            inputs_of(vectors[learnt]),
            label[learnt],
            weight,
            torch.arange(len(sources), len(learnt)),
            classes=len(task.labels),
            penalties=PENALTIES,
            seed=config.seed,
        )
        if best.update(logits[len(sources) :]):
            best.kept = learnt, logits, head
    learnt, logits, head = best.kept
    sureness = temperature(logits[-len(target) :], label[target])
    _save(folder, vectors, learnt, logits / sureness, head.divided(sureness))


def _save(folder: Path, vectors: NDArray[np.float16], learnt: Rows, logits: Tensor, head: Head) -> None:
    """Write a head with its logits for all vectors; those for the rows that it has learnt from are given."""
    answers = predict_all(head, vectors)
    answers[learnt] = logits.numpy()
    save_arrays(folder, frozen=answers, **arrays_of(head))


def predict_all(head: Head, vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """A head's logits (n, C) on sentence vectors (n, S, H), which may lie on disk."""
    starts = range(0, len(vectors), LEARNT)
    parts = [head(inputs_of(vectors[a : a + LEARNT])).numpy() for a in starts]
    return np.concatenate([np.empty((0, len(head.bias)), dtype=np.float32), *parts])


def inputs_of(vectors: NDArray[np.float16]) -> Tensor:
    """What a head reads (n, F) of sentence vectors (n, S, H)."""
    return head_input(torch.from_numpy(vectors.astype(np.float32)))


def arrays_of(head: Head) -> dict[str, NDArray[np.float32]]:
    """A head as arrays, of which :func:`read_head` makes it again."""
    return {"weight": head.weight.numpy(), "bias": head.bias.numpy()}


def read_head(folder: Path) -> Head:
    """The head in the folder of a teacher's stage."""
    return Head(*(torch.from_numpy(np.load(folder / f"{name}.npy", allow_pickle=False)) for name in ("weight", "bias")))


def read_vectors(stage: Path) -> NDArray[np.float16]:
    """The sentence vectors (n, S, H) of the task's own texts, on disk."""
    vectors: NDArray[np.float16] = np.load(stage / "base" / "vectors.npy", mmap_mode="r", allow_pickle=False)
    return vectors
