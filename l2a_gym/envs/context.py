"""What features of candidates are computed from: all that is prepared of them, and what students now make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.augment import importance
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Outputs
from l2a_gym.distill.gradients import agreement
from l2a_gym.distill.losses import soft_target_loss
from l2a_gym.preparation.store import Prepared


@dataclass(frozen=True)
class PoolContext:
    """The n candidates of a prepared task, on the CPU.

    Attributes:
        prepared: where they lie.
        teaches: which teacher teaches.
        sizes: the number of values of each one-hot feature, by its name.
    """

    prepared: Prepared
    teaches: str
    sizes: Mapping[str, int]

    @property
    def rows(self) -> slice:
        """The candidates' rows."""
        return self.prepared.rows["pool"]

    @cached_property
    def tokens(self) -> Tokens:
        """Their tokens."""
        return self.prepared.tokens(self.rows)

    @cached_property
    def teacher(self) -> Tensor:
        """(n, C) probabilities of the teacher that teaches."""
        return self._probability(self.teaches)

    def given(self, teacher: str) -> Tensor:
        """(n,) a teacher's probability of the given label."""
        return self._probability(teacher).gather(1, self.prepared.labels(self.rows)[:, None])[:, 0]

    @property
    def label_share(self) -> Tensor:
        """(n,) how frequent the given label is among the target's labels of train and dev."""
        known = torch.cat([self.prepared.labels(self.prepared.rows[split]) for split in ("train", "dev")])
        share = known.bincount(minlength=self.teacher.shape[1]) / len(known)
        return share[self.prepared.labels(self.rows)]

    def signal(self, name: str) -> Tensor:
        """(n,) what the preparation measured under this name."""
        return torch.from_numpy(np.array(self.prepared.array(f"signals/{name}")))

    def one_hot(self, name: str) -> Tensor:
        """(n, c) a column for each of a signal's values."""
        return F.one_hot(self.signal(name), self.sizes[name])

    def against_shots(self, measure: str) -> Tensor:
        """(n,) a measure of :mod:`l2a_gym.augment.importance`, of them and the target's shots."""
        shots = self.prepared.tokens(self.prepared.rows["train"])
        pieces = (importance.Pieces(each.ids.numpy(), each.length.numpy()) for each in (self.tokens, shots))
        return torch.from_numpy(getattr(importance, measure)(*pieces))

    def _probability(self, teacher: str) -> Tensor:
        return self.prepared.logits(teacher, self.rows).softmax(1)


@dataclass(frozen=True)
class ShownContext:
    """The candidates now shown to E students.

    Attributes:
        outputs: of the students, (E, N, ·).
        label: (E, N) given labels.
        teacher_logits: (E, N, C) of the teacher that teaches.
        gradients: (E, C, H) dev gradients.
    """

    outputs: Outputs
    label: Tensor
    teacher_logits: Tensor
    gradients: Tensor

    @cached_property
    def cross_entropy(self) -> Tensor:
        """(E, N) of the student with the given label, in nats."""
        return F.cross_entropy(self.outputs.logits.mT, self.label, reduction="none")

    @cached_property
    def student(self) -> Tensor:
        """(E, N, C) the student's probabilities."""
        return self.outputs.logits.softmax(2)

    @property
    def given(self) -> Tensor:
        """(E, N) the teacher's probability of the given label."""
        return self.teacher_logits.softmax(2).gather(2, self.label[..., None])[..., 0]

    @property
    def kl(self) -> Tensor:
        """(E, N) KL(teacher || student), in nats."""
        return soft_target_loss(self.outputs.logits.flatten(0, 1), self.teacher_logits.flatten(0, 1), 1.0).view_as(
            self.label
        )

    @property
    def agreement(self) -> Tensor:
        """(E, N) see :func:`~l2a_gym.distill.gradients.agreement`."""
        return agreement(self.outputs, self.label, self.gradients)
