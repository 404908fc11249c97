"""The inner step: weighted gradient steps of a student from cached teacher outputs, and its passes over texts."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.data import Taught
from l2a_gym.distill.device import autocast
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Forward, Outputs, kind_of, parameters_of
from l2a_gym.distill.losses import update_loss
from l2a_gym.distill.packing import padded_size


class Distiller:
    """A student, its optimizer, and the texts that it learns from.

    Args:
        student: its weights at this moment are the start of every run.
        texts: candidates and shots with the teacher's logits; rows are indices into them.
        config: how it learns.
        precision: of the products of matrices, float32 or bfloat16.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        texts: Taught,
        config: Distillation,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.device = texts.label.device
        self.student = torch.nn.Module.to(student, self.device).eval()  # without dropout
        self.student.get_input_embeddings().weight.requires_grad_(not config.frozen_embeddings)
        self.texts, self.config, self.precision = texts, config, precision
        self._start = {name: value.clone() for name, value in self.student.state_dict().items()}
        self._ahead: tuple[Tensor, Outputs] | None = None
        self.reset(0)

    def reset(self, head_seed: int) -> None:
        """The student back to the start weights, with a new optimizer.

        Args:
            head_seed: draws a new classifier.
        """
        self._ahead = None
        self.student.load_state_dict(self._start)
        head = self.student.classifier.weight
        generator = torch.Generator().manual_seed(head_seed)
        head.data.copy_(new_head(head.shape, self.student.config, generator))
        self.optimizer = torch.optim.AdamW(
            self.student.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )

    def load(self, student: PreTrainedModel) -> None:
        """Take the weights of another student; the optimizer stays as it is."""
        self._ahead = None
        self.student.load_state_dict(student.state_dict())

    def step(
        self,
        rows: Tensor,
        weights: Tensor,
        anchors: Tensor,
        updates: int,
        rate: float = 1.0,
        alphas: Tensor | None = None,
    ) -> Tensor:
        """Take ``updates`` gradient steps, each on an equal part of the candidates and of the anchors.

        Texts of similar length go into the same part, which saves padding.

        Args:
            rows: (N,) candidates.
            weights: (N,) float32, >= 0; zero drops a candidate. Normalised over the candidates of an update.
            anchors: (A,) rows of labelled texts of the target, and of their phrases; ``updates`` divides A.
            updates: K, divides N.
            rate: factor of the learning rate.
            alphas: (N,) float32 in [0, 1], the soft targets' share of each candidate's loss; None: config.alpha.

        Returns:
            The mean loss, a scalar in nats; not finite where the student diverged.
        """
        self.optimizer.param_groups[0]["lr"] = rate * self.config.learning_rate
        order = self._by_length(rows)
        own = [None] * updates if alphas is None else alphas[order].chunk(updates)
        parts = zip(self._parts(rows, anchors, updates), weights[order].chunk(updates), own, strict=True)
        return torch.stack([self._update(*part) for part in parts]).mean()

    def _by_length(self, rows: Tensor) -> Tensor:
        """The order of rows (n,) by their texts' length."""
        return self.texts.tokens.length[rows].argsort(stable=True)

    def _parts(self, rows: Tensor, anchors: Tensor, updates: int) -> list[Tensor]:
        """Rows (n,) of each update: a part of the candidates, then a part of the anchors."""
        both = (each[self._by_length(each)].chunk(updates) for each in (rows, anchors))
        return [torch.cat(part) for part in zip(*both, strict=True)]

    def _update(self, rows: Tensor, weights: Tensor, alphas: Tensor | None) -> Tensor:
        loss = self._loss(rows, weights, alphas)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _loss(self, rows: Tensor, weights: Tensor, alphas: Tensor | None) -> Tensor:
        """The loss of an update, a scalar."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or not torch.equal(ahead[0], rows):
            ahead = rows, self._forward(self.texts.tokens.take(rows))
        label, teacher = self.texts.label[rows], self.texts.teacher[rows]
        return update_loss(ahead[1].logits, label, teacher, weights, alphas, self.config)

    def _forward(self, tokens: Tokens) -> Outputs:
        """The student's outputs on texts or pairs."""
        names = kind_of(self.student)
        forward, texts = Forward(parameters_of(self.student), names, self.student.config), names.texts(tokens)
        own = texts.cut(int(texts.length.max())).of_one()
        with autocast(self.device, self.precision):
            outputs = forward(own, padded_size(int(texts.length.sum())))
        return Outputs(outputs.logits[0], outputs.pooled[0])

    def forward(self, rows: Tensor, anchors: Tensor, updates: int) -> Outputs:
        """The student's outputs on the candidates (N,) of the next :meth:`step`, in their order.

        Nothing is learnt. The pass over the texts of the step's first update is kept, and is its forward pass, unless
        weights or texts change before.

        Args:
            rows: (N,) candidates.
            anchors: (A,) of that step.
            updates: K of that step.
        """
        order = self._by_length(rows)
        part, *_ = self._parts(rows, anchors, updates)
        self._ahead = part, self._forward(self.texts.tokens.take(part))
        size = len(rows) // updates
        found = [self._ahead[1].detach().first(size)]
        if updates > 1:
            found.append(self.outputs(self.texts.tokens.take(rows[order][size:])))
        return Outputs.cat(found).take(order.argsort())

    @torch.no_grad()
    def outputs(self, tokens: Tokens, batch: int = 64) -> Outputs:
        """The student's outputs on n texts, in their order; nothing is learnt.

        Args:
            tokens: of the texts.
            batch: texts in a forward pass; those of similar length share one.
        """
        order = tokens.length.argsort(stable=True)
        parts = [self._forward(tokens.take(rows)) for rows in order.split(batch)]
        return Outputs.cat(parts).take(order.argsort())

    def state(self) -> dict[str, Any]:
        """A copy of everything that learning changes."""
        return deepcopy({"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()})

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a :meth:`state`; going on from there repeats the same arithmetic."""
        self._ahead = None
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(deepcopy(state["optimizer"]))


def new_head(shape: torch.Size, config: PreTrainedConfig, generator: torch.Generator) -> Tensor:
    """The weights of a new classifier, (C, F)."""
    return torch.randn(shape, generator=generator) * config.initializer_range
