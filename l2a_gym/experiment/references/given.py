"""What the references of a task learn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.heads import head_input
from l2a_gym.preparation.regressions import SHOT_COPIES, spread
from l2a_gym.preparation.store import Prepared
from l2a_gym.preparation.texts import own_labels, own_rows, own_texts
from l2a_gym.tasks.task import Task, Texts

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Given:
    """A task and its preparation, row by row: rows are those of the task's own texts."""

    task: Task
    prepared: Prepared

    @cached_property
    def rows(self) -> dict[str, Rows]:
        """The rows of each split, and of the ``sources`` that teachers may learn from."""
        rows = own_rows(self.task)
        return {**rows, "sources": spread(rows["sources"])}

    def with_shots(self, sources: Rows) -> Rows:
        """Source rows and those of the shots, repeated as the all-data teacher repeats them."""
        return np.concatenate([sources, np.tile(self.rows["train"], SHOT_COPIES)])

    def count(self, *splits: str) -> int:
        """How many texts these splits have together."""
        return sum(len(self.rows[split]) for split in splits)

    @cached_property
    def texts(self) -> Texts:
        """The text of each row, with its label as it is given."""
        parts = own_texts(self.task)
        text = [each for part in parts for each in part.text]
        pair = [each for part in parts for each in part.pair or ()]
        return Texts(tuple(text), own_labels(self.task), tuple(pair) or None)

    @cached_property
    def label(self) -> Tensor:
        """The label (n,) of each row as it is given."""
        return torch.from_numpy(self.texts.label)

    def inputs(self, rows: Rows) -> Tensor:
        """What a head reads of the checkpoint's vectors of these rows (n, F)."""
        vectors = self.prepared.array("base/vectors")[rows]
        return head_input(torch.from_numpy(vectors).float())

    @cached_property
    def checkpoint(self) -> str:
        """The checkpoint that the teachers start from."""
        return str(self.prepared.manifest()["config"]["checkpoint"])

    @cached_property
    def seed(self) -> int:
        """The seed of the preparation."""
        return int(self.prepared.manifest()["config"]["seed"])

    @cached_property
    def encoder(self) -> PreTrainedModel:
        """The checkpoint before any fine-tuning, on the CPU."""
        return load_teacher(self.checkpoint, len(self.task.labels), self.seed)

    @property
    def encoder_size(self) -> int:
        """Parameters of the checkpoint without its head."""
        return cast(PreTrainedModel, self.encoder.base_model).num_parameters()

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The checkpoint's tokenizer, with its whole vocabulary."""
        return load_tokenizer(self.checkpoint)
