"""The inner step: a student's weighted gradient steps from cached teacher outputs, and its dev pass."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertForSequenceClassification

from l2a_gym.distill.device import attention, autocast
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.losses import distillation_loss
from l2a_gym.errors import UserError, unknown

_RANGES = {
    "learning_rate": (0, 1e38),
    "alpha": (0, 1),
    "temperature": (0.01, 100),
    "anchors": (1, 1024),
    "anchor_share": (0, 1),
    "weight_decay": (0, 1),
    "clip": (1e-6, 1e6),
}
"""Lowest and highest value of each number in :class:`Distillation`."""


@dataclass(frozen=True)
class Distillation:
    """How the student learns.

    Attributes:
        learning_rate: of AdamW, at its highest.
        alpha: the soft targets' share of the loss, in [0, 1].
        temperature: T of the soft targets.
        anchors: target shots in each update, drawn with replacement.
        anchor_share: their share of the update's loss, in [0, 1]; all of it where no candidate is chosen.
        weight_decay: of AdamW.
        clip: largest norm of a gradient.

    Raises:
        UserError: a value out of its range.
    """

    learning_rate: float = 1.5e-3
    alpha: float = 0.25
    temperature: float = 2.0
    anchors: int = 16
    anchor_share: float = 0.2
    weight_decay: float = 0.01
    clip: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} = {getattr(self, name)}: valid are numbers from {low:g} to {high:g}")
        if not isinstance(self.anchors, int):
            raise UserError(f"anchors = {self.anchors}: valid are whole numbers")

    @staticmethod
    def of(values: Mapping[str, Any]) -> Distillation:
        """The defaults with ``values`` in their place.

        Raises:
            UserError: an unknown name, or a value out of its range.
        """
        for name in values:
            if name not in _RANGES:
                raise unknown("distillation value", name, _RANGES)
        return replace(Distillation(), **values)


@dataclass(frozen=True)
class Labelled:
    """n tokenised texts with their labels (n,), on one device."""

    tokens: Tokens
    label: Tensor

    def to(self, device: torch.device) -> Labelled:
        """The same on ``device``."""
        return Labelled(self.tokens.to(device), self.label.to(device))


@dataclass(frozen=True)
class Taught(Labelled):
    """Labelled texts with a teacher's logits (n, C)."""

    teacher: Tensor

    def to(self, device: torch.device) -> Taught:
        """The same on ``device``."""
        return Taught(self.tokens.to(device), self.label.to(device), self.teacher.to(device))


@dataclass(frozen=True)
class Outputs:
    """What the student says of n texts: logits (n, C), and the vectors (n, H) that its classifier sees; float32."""

    logits: Tensor
    pooled: Tensor


class Distiller:
    """A student, its optimiser and the texts it learns from.

    Args:
        student: the model; its weights at this moment are the start of every run.
        texts: candidates and shots with the teacher's logits; rows are indices into them.
        config: how it learns.
    """

    def __init__(self, student: BertForSequenceClassification, texts: Taught, config: Distillation) -> None:
        self.device = texts.label.device
        torch.nn.Module.to(student, self.device)
        self.student = student.eval()  # students have no dropout
        self.student.set_attn_implementation(attention(self.device))
        self.texts = texts
        self.config = config
        self._start = {name: value.clone() for name, value in self.student.state_dict().items()}
        self.reset(head_seed=0)

    def reset(self, head_seed: int) -> None:
        """Back to the start weights, with a new optimiser and a classifier drawn anew from ``head_seed``."""
        self.student.load_state_dict(self._start)
        head = self.student.classifier.weight
        generator = torch.Generator().manual_seed(head_seed)
        head.data.copy_(torch.randn(head.shape, generator=generator) * self.student.config.initializer_range)
        self.optimiser = torch.optim.AdamW(
            self.student.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )

    def step(self, rows: Tensor, weights: Tensor, anchors: Tensor, updates: int, rate: float = 1.0) -> float:
        """Take ``updates`` gradient steps, each on an equal part of the candidates and of the anchors.

        Texts of similar length go into the same part, which saves padding.

        Args:
            rows: (N,) candidates.
            weights: (N,) float32, >= 0; zero drops a candidate. Normalised over the candidates of a gradient step.
            anchors: (updates * config.anchors,) rows of target shots.
            updates: K, divides N.
            rate: factor of the learning rate.

        Returns:
            The mean loss, in nats; not finite where the student diverged.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate * self.config.learning_rate
        length = self.texts.tokens.length
        order = length[rows].argsort(stable=True)
        anchors = anchors[length[anchors].argsort(stable=True)]
        parts = zip(rows[order].chunk(updates), weights[order].chunk(updates), anchors.chunk(updates), strict=True)
        return sum(self._update(*part) for part in parts) / updates

    def _update(self, rows: Tensor, weights: Tensor, anchors: Tensor) -> float:
        every = torch.cat([rows, anchors])
        logits = self._forward(self.texts.tokens.take(every)).logits
        teacher = self.texts.teacher[every]
        losses = distillation_loss(logits, self.texts.label[every], teacher, self.config.alpha, self.config.temperature)
        loss = losses @ self._shares(weights, len(anchors))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.config.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    def _shares(self, weights: Tensor, anchors: int) -> Tensor:
        """Each text's share of the loss, (n + anchors,); they sum to one, so weights can't change the step's size."""
        total = weights.sum()
        anchor_share = torch.where(total > 0, self.config.anchor_share, 1.0)
        chosen = (1 - anchor_share) * weights / total.clamp(min=torch.finfo(weights.dtype).tiny)
        return torch.cat([chosen, (anchor_share / anchors).expand(anchors)])

    def look(self, rows: Tensor) -> Outputs:
        """The student's outputs on ``rows``, in their order; nothing is learnt."""
        return self.outputs(self.texts.tokens.take(rows))

    @torch.no_grad()
    def outputs(self, tokens: Tokens, batch: int = 64) -> Outputs:
        """The student's outputs on any tokens, in their order; nothing is learnt."""
        order = tokens.length.argsort(stable=True)
        parts = [self._forward(tokens.take(rows)) for rows in order.split(batch)]
        back = order.argsort()
        return Outputs(torch.cat([p.logits for p in parts])[back], torch.cat([p.pooled for p in parts])[back])

    def _forward(self, tokens: Tokens) -> Outputs:
        with autocast(self.device):
            pooled = self.student.bert(**tokens.inputs()).pooler_output
            logits = self.student.classifier(pooled)
        return Outputs(logits.float(), pooled.float())

    def state(self) -> dict[str, Any]:
        """A copy of everything that learning changes."""
        return deepcopy({"student": self.student.state_dict(), "optimiser": self.optimiser.state_dict()})

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a :meth:`state`; going on from there repeats the same arithmetic."""
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(deepcopy(state["optimiser"]))


def last_layer_gradient(outputs: Outputs, label: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy with respect to the classifier's weights, (C, H)."""
    residual = outputs.logits.softmax(1) - F.one_hot(label, outputs.logits.shape[1])
    return residual.T @ outputs.pooled / len(label)


def agreement(outputs: Outputs, label: Tensor, gradient: Tensor) -> Tensor:
    """Cosine in [-1, 1] of each text's last-layer gradient with ``gradient`` (C, H), (n,).

    A text's gradient is the outer product of its residual and its pooled vector, so no backward pass is needed.
    """
    residual = outputs.logits.softmax(1) - F.one_hot(label, outputs.logits.shape[1])
    dot = ((residual @ gradient) * outputs.pooled).sum(1)
    norm = residual.norm(dim=1) * outputs.pooled.norm(dim=1) * gradient.norm()
    return dot / norm.clamp(min=1e-12)
