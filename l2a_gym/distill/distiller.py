"""The inner step: a student's weighted gradient steps from cached teacher outputs, and its dev pass."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from l2a_gym.distill.device import autocast
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Forward, Outputs
from l2a_gym.distill.layers import LAYER_MAPS, States, set_attention, states
from l2a_gym.distill.losses import ATTENTION_LOSSES, EXTRA_LOSSES, distillation_loss
from l2a_gym.distill.matching import Features, Matching
from l2a_gym.errors import UserError, check_choice, unknown

_RANGES = {
    "learning_rate": (0, 1e38),
    "alpha": (0, 1),
    "temperature": (0.01, 100),
    "anchors": (1, 1024),
    "anchor_share": (0, 1),
    "weight_decay": (0, 1),
    "clip": (1e-6, 1e6),
} | dict.fromkeys(EXTRA_LOSSES, (0, 1e6))
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
        hidden: weight of the loss between hidden states, >= 0; like the four that follow, 0 switches it off.
        attention: weight of the loss between attention probabilities.
        embedding: weight of the loss between the embeddings' outputs.
        patience: weight of the loss between [CLS] states.
        relation: weight of the loss between the value relations of the last layers.
        layer_map: which layers ``hidden``, ``attention`` and ``patience`` compare: ``uniform``, ``skip`` or ``last``,
            see :func:`l2a_gym.distill.layers.layer_map`.
        attention_loss: ``mse`` or ``kl``.

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
    hidden: float = 0.0
    attention: float = 0.0
    embedding: float = 0.0
    patience: float = 0.0
    relation: float = 0.0
    layer_map: str = "uniform"
    attention_loss: str = "mse"

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (isinstance(value, Real) and low <= float(value) <= high):
                raise UserError(f"{name} = {value}: valid are numbers from {low:g} to {high:g}")
        if not isinstance(self.anchors, int):
            raise UserError(f"anchors = {self.anchors}: valid are whole numbers")
        check_choice("layer_map", self.layer_map, LAYER_MAPS)
        check_choice("attention_loss", self.attention_loss, ATTENTION_LOSSES)

    @property
    def extra(self) -> dict[str, float]:
        """The losses between layers that are on -> their weights."""
        return {name: getattr(self, name) for name in EXTRA_LOSSES if getattr(self, name) > 0}

    @staticmethod
    def of(values: Mapping[str, Any]) -> Distillation:
        """The defaults with ``values`` in their place.

        Raises:
            UserError: an unknown name, or a value out of its range.
        """
        names = [field.name for field in fields(Distillation)]
        for name in values:
            if name not in names:
                raise unknown("distillation value", name, names)
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


class Distiller:
    """A student, its optimiser and the texts it learns from.

    Args:
        student: the model; its weights at this moment are the start of every run.
        texts: candidates and shots with the teacher's logits; rows are indices into them.
        config: how it learns.
        features: of the same texts, the teacher's side of the losses between layers that ``config`` switches on.

    Raises:
        UserError: such a loss is on without features.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        texts: Taught,
        config: Distillation,
        features: Features | None = None,
    ) -> None:
        self.device = texts.label.device
        torch.nn.Module.to(student, self.device)
        self.student = student.eval()  # students have no dropout
        self.forward = Forward(student)
        self.texts = texts
        self.config = config
        self.matching = Matching(config.extra, config.attention_loss, features or Features(), student.config)
        self.matching.to(self.device)
        set_attention(self.student, self.matching.layers, self.device)
        self._start = {name: value.clone() for name, value in self.student.state_dict().items()}
        self.reset(head_seed=0)

    def reset(self, head_seed: int) -> None:
        """Back to the start weights, with a new optimiser; ``head_seed`` draws a new classifier and new projections."""
        self.student.load_state_dict(self._start)
        head = self.student.classifier.weight
        generator = torch.Generator().manual_seed(head_seed)
        head.data.copy_(torch.randn(head.shape, generator=generator) * self.student.config.initializer_range)
        self.matching.reset(generator)
        self.optimiser = torch.optim.AdamW(
            self._learnt(),
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
        loss = self._losses(every) @ self._shares(weights, len(anchors))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learnt(), self.config.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    def _learnt(self) -> list[torch.nn.Parameter]:
        return [*self.student.parameters(), *self.matching.parameters()]

    def _losses(self, rows: Tensor) -> Tensor:
        """Each text's loss, (n,)."""
        tokens, label, teacher = self.texts.tokens.take(rows), self.texts.label[rows], self.texts.teacher[rows]
        with autocast(self.device):
            outputs, own = self._watched(tokens) if self.matching.layers else (self.forward(tokens), {})
        losses = distillation_loss(outputs.logits, label, teacher, self.config.alpha, self.config.temperature)
        return losses + self.matching(own, rows, tokens.length)

    def _watched(self, tokens: Tokens) -> tuple[Outputs, States]:
        """The whole pass of ``transformers``, with the states that are matched."""
        output, own = states(self.student.base_model, tokens.inputs(), self.matching.layers)
        logits = self.student.classifier(output.pooler_output)
        return Outputs(logits.float(), output.pooler_output.float()), own

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
        with autocast(self.device):
            parts = [self.forward(tokens.take(rows)) for rows in order.split(batch)]
        back = order.argsort()
        return Outputs(torch.cat([p.logits for p in parts])[back], torch.cat([p.pooled for p in parts])[back])

    def state(self) -> dict[str, Any]:
        """A copy of everything that learning changes."""
        learnt = {"student": self.student, "matching": self.matching, "optimiser": self.optimiser}
        return deepcopy({name: part.state_dict() for name, part in learnt.items()})

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a :meth:`state`; going on from there repeats the same arithmetic."""
        self.student.load_state_dict(state["student"])
        self.matching.load_state_dict(state["matching"])
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
