"""A prepared task on disk, opened for reading."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from l2a_gym.distill.data import Labelled, Taught
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.heads import VectorClassifier
from l2a_gym.distill.teacher import keep_pieces
from l2a_gym.distill.towers import load_student
from l2a_gym.tasks.task import Texts

TUNED = ("few-shot", "all-data")
"""The teachers that are fine-tuned: on the target's shots, and on the sources with the shots."""
FROZEN = {"frozen-few-shot": "few-shot", "frozen-all-data": "all-data", "cross-fitted": "cross-fitted"}
"""The regressions on sentence vectors, and the stage that each is made by."""
OUT_OF_FOLD = "out-of-fold"
"""The regression on the labels that the all-data teacher is given; it teaches nobody, but doubts labels."""
MEAN, AVERAGED = "mean", (*TUNED, "cross-fitted")
"""The teacher whose probabilities are the mean of others, and these, which differ most in what they learn from."""
TEACHERS = (*TUNED, *FROZEN, MEAN)
"""All teachers. ``cross-fitted`` learns from the labels of dev and select, too, and so does ``mean``."""


class Prepared:
    """Everything that episodes of one task need; arrays are memory-mapped.

    The rows of every array are the parts ``pool``, ``train``, ``dev``, ``select`` and ``test``, one after the other;
    those of ``answers/vectors`` end with ``dev``.

    Attributes:
        folder: where it lies.
        rows: part -> its slice of the rows; that of ``select`` is that of ``dev`` where the task has one for both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._layout: dict[str, Any] = json.loads((folder / "tokens" / "layout.json").read_text(encoding="utf-8"))
        ends = np.cumsum([0, *self._layout["rows"].values()]).tolist()
        self.rows = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(self._layout["rows"])}
        if not self._layout["rows"]["select"]:
            self.rows["select"] = self.rows["dev"]

    def manifest(self) -> dict[str, Any]:
        """Task, configuration, versions, names, parameter counts and file hashes."""
        manifest: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    def array(self, name: str) -> NDArray[Any]:
        """The array ``<stage>/<name>``, read only."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def tokens(self, rows: slice) -> Tokens:
        """The tokens of some rows, on the CPU."""
        ids = torch.from_numpy(self.array("tokens/ids")[rows].astype(np.int32))
        length, first = (torch.from_numpy(np.array(self.array(f"tokens/{name}")[rows])) for name in ("length", "first"))
        return Tokens(ids, length, first, self._layout["pad"])

    def labels(self, rows: slice) -> torch.Tensor:
        """The labels of some rows, (n,) int64; those of made candidates under the pool's label policy."""
        label = np.array(self.array("tokens/label"))
        label[self.rows["pool"]] = self.array("signals/label")
        return torch.from_numpy(label[rows])

    def logits(self, teacher: str, rows: slice) -> torch.Tensor:
        """A teacher's logits on some rows, (n, C) float32."""
        if teacher == MEAN:
            return mean_of([self.logits(name, rows) for name in AVERAGED])
        return torch.from_numpy(np.array(self.array(f"answers/{teacher}")[rows]))

    def labelled(self, rows: slice) -> Labelled:
        """Some rows with their labels."""
        return Labelled(self.tokens(rows), self.labels(rows))

    def taught(self, rows: slice, teacher: str) -> Taught:
        """Some rows with their labels and the logits of a teacher."""
        return Taught(self.tokens(rows), self.labels(rows), self.logits(teacher, rows))

    def pool(self) -> Dataset:
        """The candidates: text, given label, domain, operator, parent, edit_share, and flipped for the oracle.

        Read whole columns by ``[name][:]``: a column is read a hundred times faster as one than value by value.
        """
        return Dataset.load_from_disk(str(self.folder / "pool"))

    def texts(self, rows: NDArray[np.int64]) -> Texts:
        """Some candidates, by their rows (n,) in the pool, with the labels that a student learns them with."""
        found = self.pool()[rows.tolist()]
        pair = tuple(found["pair"]) if "pair" in found else None
        return Texts(tuple(found["text"]), np.array(self.array("signals/label"))[rows], pair)

    def student(self) -> PreTrainedModel:
        """A new student with the start weights."""
        return load_student(self.folder / "student")

    def teacher(self, name: str) -> PreTrainedModel:
        """A fine-tuned teacher, for tokens of the trimmed vocabulary."""
        model = read_teacher(self.folder / name)
        keep_pieces(model, self.array("tokens/kept"))
        return model

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer of the trimmed vocabulary."""
        return PreTrainedTokenizerFast.from_pretrained(self.folder / "tokens")


def mean_of(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The logarithms (n, C) of the mean of several classifiers' probabilities."""
    return torch.stack([each.log_softmax(1) for each in logits]).logsumexp(0) - log(len(logits))


def read_candidates(folder: Path) -> Texts:
    """The candidates of the stage ``pool``, with their given labels."""
    pool = Dataset.load_from_disk(str(folder))
    pair = tuple(pool["pair"][:]) if "pair" in pool.features else None
    return Texts(tuple(pool["text"][:]), np.array(pool["label"][:]), pair)


def read_teacher(folder: Path) -> PreTrainedModel:
    """The model of the stage ``few-shot`` or ``all-data``, for tokens of its whole vocabulary."""
    config = AutoConfig.from_pretrained(folder / "model", trust_remote_code=False)
    kind = VectorClassifier if hasattr(config, "classifier_sides") else AutoModelForSequenceClassification
    model: PreTrainedModel = kind.from_pretrained(
        folder / "model", config=config, use_safetensors=True, trust_remote_code=False
    )
    return model
