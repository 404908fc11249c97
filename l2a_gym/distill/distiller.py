"""The inner step: weighted gradient steps of E students from cached teacher outputs, and their dev passes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.device import student_precision
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Forward, Outputs, Stack
from l2a_gym.distill.layers import set_attention, states
from l2a_gym.distill.losses import distillation_loss
from l2a_gym.distill.matching import Features, Matching


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
    """E students as one model, their optimisers, and the texts that they learn from.

    Each learns as if it were alone, up to rounding.

    Args:
        students: models of one class and shape; the first one's weights at this moment are the start of every run.
        texts: candidates and shots with the teacher's logits; rows are indices into them.
        config: how they learn.
        features: of the same texts, the teacher's side of the losses between layers that ``config`` switches on.

    Raises:
        UserError: such a loss is on without features.
    """

    def __init__(
        self,
        students: Sequence[PreTrainedModel],
        texts: Taught,
        config: Distillation,
        features: Features | None = None,
    ) -> None:
        self.device = texts.label.device
        self.students = [torch.nn.Module.to(student, self.device).eval() for student in students]  # without dropout
        for student in self.students:
            student.get_input_embeddings().weight.requires_grad_(not config.frozen_embeddings)
        self.stack = Stack(self.students)
        self.forward = Forward(self.stack)
        self.texts = texts
        self.config = config
        shape = students[0].config
        matching = partial(Matching, config.extra, config.attention_loss, features or Features(), shape)
        self.matchings = [matching().to(self.device) for _ in students]
        for student in self.students:
            set_attention(student, self.matchings[0].layers, self.device)
        self._start = {name: value.clone() for name, value in self.students[0].state_dict().items()}
        self.optimisers = [self._optimiser(i) for i in range(len(students))]
        self._ahead: tuple[Tensor, Outputs] | None = None
        for i in range(len(students)):
            self.reset(0, i)

    def _optimiser(self, i: int) -> torch.optim.AdamW:
        return torch.optim.AdamW(
            self._learnt(i), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )

    def reset(self, head_seed: int, i: int = 0) -> None:
        """Student i back to the start weights, with a new optimiser.

        Args:
            head_seed: draws a new classifier and new projections.
            i: which student.
        """
        student, matching = self.students[i], self.matchings[i]
        self._ahead = None
        student.load_state_dict(self._start)
        head = student.classifier.weight
        generator = torch.Generator().manual_seed(head_seed)
        head.data.copy_(torch.randn(head.shape, generator=generator) * student.config.initializer_range)
        matching.reset(generator)
        self.optimisers[i] = self._optimiser(i)

    def step(self, rows: Tensor, weights: Tensor, anchors: Tensor, updates: int, rates: Sequence[float]) -> list[float]:
        """Take ``updates`` gradient steps, each on an equal part of the candidates and of the anchors.

        Texts of similar length go into the same part, which saves padding.

        Args:
            rows: (E, N) candidates of each student.
            weights: (E, N) float32, >= 0; zero drops a candidate. Normalised over a student's candidates of an update.
            anchors: (E, updates * config.anchors) rows of target shots.
            updates: K, divides N.
            rates: (E,) factors of the learning rate.

        Returns:
            Each student's mean loss, in nats; not finite where it diverged.
        """
        for optimiser, rate in zip(self.optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * self.config.learning_rate
        weights = weights.gather(1, self._by_length(rows))
        parts = zip(self._parts(rows, anchors, updates), weights.chunk(updates, dim=1), strict=True)
        return torch.stack([self._update(*part) for part in parts]).mean(0).tolist()

    def _by_length(self, rows: Tensor) -> Tensor:
        """The order of rows (E, n) by their texts' length."""
        return self.texts.tokens.length[rows].argsort(dim=1, stable=True)

    def _parts(self, rows: Tensor, anchors: Tensor, updates: int) -> list[Tensor]:
        """Rows (E, n) of each update: a part of the candidates, then a part of the anchors."""
        both = (each.gather(1, self._by_length(each)).chunk(updates, dim=1) for each in (rows, anchors))
        return [torch.cat(part, dim=1) for part in zip(*both, strict=True)]

    def _update(self, rows: Tensor, weights: Tensor) -> Tensor:
        loss = (self._losses(rows) * self._shares(weights, rows.shape[1] - weights.shape[1])).sum(1)
        loss.sum().backward()
        self.stack.hand_out()
        for i, optimiser in enumerate(self.optimisers):
            torch.nn.utils.clip_grad_norm_(self._learnt(i), self.config.clip)
            optimiser.step()
            optimiser.zero_grad()
        return loss.detach()

    def _learnt(self, i: int) -> list[torch.nn.Parameter]:
        both = (*self.students[i].parameters(), *self.matchings[i].parameters())
        return [parameter for parameter in both if parameter.requires_grad]

    def _losses(self, rows: Tensor) -> Tensor:
        """Each text's loss, (E, n)."""
        if self.config.extra:
            return torch.stack([self._layer_losses(i, each) for i, each in enumerate(rows)])
        ahead, self._ahead = self._ahead, None
        if ahead is None or not torch.equal(ahead[0], rows):
            ahead = rows, self._forward(rows)
        return self._label_losses(ahead[1].logits, rows.flatten()).view_as(rows)

    def _forward(self, rows: Tensor) -> Outputs:
        with student_precision(self.device):
            return self.forward(self.texts.tokens.take(rows.flatten()))

    def _label_losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        label, teacher = self.texts.label[rows], self.texts.teacher[rows]
        return distillation_loss(logits, label, teacher, self.config.alpha, self.config.temperature)

    def _layer_losses(self, i: int, rows: Tensor) -> Tensor:
        """The losses (n,) of student i with those between layers, which need the whole pass of ``transformers``."""
        student, matching, tokens = self.students[i], self.matchings[i], self.texts.tokens.take(rows)
        with student_precision(self.device):
            output, own = states(student.base_model, tokens.inputs(), matching.layers)
            logits = student.classifier(output.pooler_output)
        return self._label_losses(logits.float(), rows) + matching(own, rows, tokens.length)

    def _shares(self, weights: Tensor, anchors: int) -> Tensor:
        """Each text's share of the loss, (E, n + anchors).

        They sum to one, so weights can't change the step's size.
        """
        total = weights.sum(1, keepdim=True)
        anchor_share = torch.where(total > 0, self.config.anchor_share, 1.0)
        chosen = (1 - anchor_share) * weights / total.clamp(min=torch.finfo(weights.dtype).tiny)
        return torch.cat([chosen, (anchor_share / anchors).expand(-1, anchors)], dim=1)

    def look(self, rows: Tensor, anchors: Tensor, updates: int) -> list[Outputs]:
        """Each student's outputs on the candidates (E, N) of the next :meth:`step`, in their order.

        Nothing is learnt. The pass over the texts of the step's first update is kept, and is its forward pass, unless
        weights or texts change before.

        Args:
            rows: (E, N) candidates.
            anchors: (E, updates * config.anchors) of that step.
            updates: K of that step.
        """
        if self.config.extra:  # its updates need another pass
            return self.outputs(self.texts.tokens.take(rows.flatten()))
        order = self._by_length(rows)
        part, *_ = self._parts(rows, anchors, updates)
        self._ahead = part, self._forward(part)
        size = rows.shape[1] // updates
        each = [self._ahead[1].of(len(rows), size)]
        if updates > 1:
            each.append(self.outputs(self.texts.tokens.take(rows.gather(1, order)[:, size:].flatten())))
        return [Outputs.cat(found).take(back) for *found, back in zip(*each, order.argsort(dim=1), strict=True)]

    def read(self, tokens: Tokens) -> list[Outputs]:
        """Each student's outputs on the same n texts, in their order; nothing is learnt."""
        return self.outputs(Tokens.cat([tokens] * len(self.students)))

    @torch.no_grad()
    def outputs(self, tokens: Tokens, batch: int = 64) -> list[Outputs]:
        """Each student's outputs on texts of its own; nothing is learnt.

        Args:
            tokens: of E * n texts, a student's after another's.
            batch: texts of each student in a forward pass; those of similar length share one.

        Returns:
            For each student, n outputs in the order of its texts.
        """
        students = len(self.students)
        length = tokens.length.view(students, -1)
        order = length.argsort(dim=1, stable=True)
        first = torch.arange(students, device=self.device)[:, None] * length.shape[1]
        with student_precision(self.device):
            parts = [self.forward(tokens.take((first + rows).flatten())) for rows in order.split(batch, dim=1)]
        each = [part.of(students) for part in parts]
        back = order.argsort(dim=1)
        return [Outputs.cat(found).take(rows) for *found, rows in zip(*each, back, strict=True)]

    def state(self, i: int = 0) -> dict[str, Any]:
        """A copy of everything that learning changes in student i."""
        learnt = {"student": self.students[i], "matching": self.matchings[i], "optimiser": self.optimisers[i]}
        return deepcopy({name: part.state_dict() for name, part in learnt.items()})

    def restore(self, state: dict[str, Any], i: int = 0) -> None:
        """Go back to a :meth:`state`; going on from there repeats the same arithmetic."""
        self._ahead = None
        self.students[i].load_state_dict(state["student"])
        self.matchings[i].load_state_dict(state["matching"])
        self.optimisers[i].load_state_dict(deepcopy(state["optimiser"]))


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
