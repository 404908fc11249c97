"""Many students as a few tensors on one device: a pass or an update of all of them is one sequence of operations.

Weights and optimizer are float32; activations may be bfloat16. On a GPU the operations are compiled and replayed as
CUDA graphs (``graphs.py``), so shapes have to be few: the longest text and the number of tokens are rounded up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from l2a_gym.distill.adamw import Moments, adamw_
from l2a_gym.distill.config import Distillation
from l2a_gym.distill.data import Taught
from l2a_gym.distill.distiller import new_head
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Forward, Names, Outputs, kind_of
from l2a_gym.distill.graphs import Replay, compiled, new_pool
from l2a_gym.distill.losses import update_loss

GROUP = 256
"""Students of a pass, of pairs half as many. More fill no GPU better, and CUTLASS' attention takes 65,535 texts."""
TEXTS = 128
"""Texts of each student in a pass without gradients."""
SLOT = 64
"""Each parameter begins at a multiple of so many values: fast matrix products need aligned operands."""
SIZES, LENGTHS = 256, 8
"""M and T are multiples of these."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """How the parameters of a student lie in two tensors: the word embeddings, and the others side by side.

    Attributes:
        names: what the student's class calls its parts.
        config: of the student.
        slots: name -> shape of each of the others, in their order.
    """

    names: Names
    config: PreTrainedConfig
    slots: dict[str, tuple[int, ...]]

    @staticmethod
    def from_student(student: PreTrainedModel) -> Shape:
        """The shape of a student and of its like."""
        names = kind_of(student)
        slots = {name: tuple(each.shape) for name, each in student.named_parameters() if name != _word(names)}
        return Shape(names, student.config, slots)

    @property
    def word(self) -> str:
        """The name of the word embeddings."""
        return _word(self.names)

    @property
    def sizes(self) -> list[int]:
        """Values of each slot."""
        return [-(-prod(shape) // SLOT) * SLOT for shape in self.slots.values()]

    def views(self, table: Tensor, rest: Tensor) -> dict[str, Tensor]:
        """Name -> (E, ...), from (E, V, H) and (E, P)."""
        parts = zip(self.slots.items(), rest.split(self.sizes, dim=1), strict=True)
        return {self.word: table} | {name: part[:, : prod(shape)].unflatten(1, shape) for (name, shape), part in parts}

    def forward(self, table: Tensor, rest: Tensor, precision: torch.dtype) -> Forward:
        """The forward pass, from the embeddings' norm on in another precision."""
        tensors, low = self.views(table, rest), self.views(table, rest.to(precision))
        embeddings = {name: each for name, each in tensors.items() if name.startswith(self.names.embeddings)}
        return Forward(low | embeddings, self.names, self.config)


def _word(names: Names) -> str:
    return f"{names.embeddings}word_embeddings.weight"


def _order(length: Integers) -> Integers:
    """The order (E, n) of texts of (E, n, S) tokens, the shortest first."""
    return np.argsort(length.sum(2), axis=1, kind="stable")


def predict(
    shape: Shape, table: Tensor, rest: Tensor, tokens: Tokens, slots: Tensor, precision: torch.dtype
) -> Outputs:
    """The students' outputs on texts of their own, see :meth:`Forward.__call__`; M is the length of ``slots``."""
    return shape.forward(table, rest, precision)(tokens, len(slots))


def loss_of(
    shape: Shape,
    table: Tensor,
    rest: Tensor,
    texts: Taught,
    slots: Tensor,
    weights: Tensor,
    alphas: Tensor | None,
    config: Distillation,
    precision: torch.dtype,
) -> Tensor:
    """The students' losses (E,) on n texts (or pairs, as sides) of each, see :func:`update_loss`."""
    logits = predict(shape, table, rest, texts.tokens, slots, precision).logits
    return update_loss(logits, texts.label, texts.teacher, weights, alphas, config)


class BatchedStudents:
    """E students that learn side by side, each as if it were alone, up to rounding.

    Args:
        student: its weights at this moment are the start of every run of each.
        number: E.
        texts: candidates and shots with the teacher's logits; rows are indices into them.
        dev: the texts of a dev pass.
        config: how they learn.
        precision: of the activations, float32 or bfloat16.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        number: int,
        texts: Taught,
        dev: Tokens,
        config: Distillation,
        precision: torch.dtype,
    ) -> None:
        self.number, self.device = number, texts.label.device
        self.texts, self.config, self.precision = texts, config, precision
        self.template, self.shape = student, Shape.from_student(student)
        self.length, self._dev_length = (self._lengths(each) for each in (texts.tokens, dev))
        self._start = self._tensors(student)
        self.parameters = [each.repeat(number, *[1] * each.ndim) for each in self._start]
        self.learnt = slice(1, 2) if config.frozen_embeddings else slice(0, 2)
        self.moments = [Moments.zeros_like(each) for each in self.parameters[self.learnt]]
        self.updates = torch.zeros(number, device=self.device)
        size = GROUP // self.shape.names.sides
        self._groups = [slice(i, i + size) for i in range(0, number, size)]
        self._predict = compiled(predict, self.device)
        self._loss = compiled(loss_of, self.device)
        self._adamw = compiled(adamw_, self.device)
        pool = new_pool(self.device)
        self._replay_update = Replay(self._update, self.device, pool)
        self._replay_look = Replay(partial(self._outputs, texts.tokens), self.device, pool)
        self._replay_dev = Replay(partial(self._outputs, dev), self.device, pool)
        self.reset(range(number), [0] * number)

    def _tensors(self, student: PreTrainedModel) -> list[Tensor]:
        """A student's word embeddings (V, H), and its others (P,)."""
        values = {name: each.detach() for name, each in student.named_parameters()}
        table, rest = values.pop(self.shape.word), torch.zeros(1, sum(self.shape.sizes))
        views = self.shape.views(table[None], rest)
        for name, value in values.items():
            views[name][0] = value
        return [table.to(self.device), rest[0].to(self.device)]

    def reset(self, which: Sequence[int], head_seeds: Sequence[int]) -> None:
        """Some students back to the start, each with a classifier drawn from its seed and a new optimizer."""
        index = torch.tensor(which, device=self.device)
        for parameter, start in zip(self.parameters, self._start, strict=True):
            parameter[index] = start
        for moment in self.moments:
            moment.first[index] = moment.second[index] = 0.0
        self.updates[index] = 0.0
        size = torch.Size(self.shape.slots["classifier.weight"])
        heads = [new_head(size, self.shape.config, torch.Generator().manual_seed(seed)) for seed in head_seeds]
        self._views()["classifier.weight"][index] = torch.stack(heads).to(self.device)

    def load(self, student: PreTrainedModel, i: int) -> None:
        """Student i takes the weights of another."""
        for parameter, value in zip(self.parameters, self._tensors(student), strict=True):
            parameter[i] = value

    def _views(self) -> dict[str, Tensor]:
        return self.shape.views(*self.parameters)

    def step(
        self,
        rows: Integers,
        weights: Tensor,
        anchors: Integers,
        updates: int,
        rates: NDArray[np.float64],
        alphas: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`l2a_gym.distill.students.Students.step`; nothing waits for the device."""
        order, kept = (_order(self.length[each]) for each in (rows, anchors))
        chosen, shots = (np.take_along_axis(*both, 1) for both in ((rows, order), (anchors, kept)))
        pairs = zip(np.split(chosen, updates, axis=1), np.split(shots, updates, axis=1), strict=True)
        parts = [np.concatenate(both, axis=1) for both in pairs]
        given = (each.gather(1, self._tensor(order)) for each in (weights, alphas) if each is not None)
        own = zip(*(each.chunk(updates, dim=1) for each in given), strict=True)
        rate = torch.tensor(rates * self.config.learning_rate, dtype=torch.float32, device=self.device)
        total = torch.zeros(self.number, device=self.device)
        for part, each in zip(parts, own, strict=True):
            (loss,) = self._replay_update(self._tensor(part), rate, *each, **self._room(self.length[part]))
            total += loss
        return total / updates

    def _lengths(self, tokens: Tokens) -> Integers:
        """The tokens (n, S) of each text's S sides."""
        return np.asarray(self.shape.names.texts(tokens).length.view(len(tokens), -1).cpu(), dtype=np.int64)

    def _room(self, length: Integers) -> dict[str, int]:
        """M and T for texts of (E, n, S) tokens."""
        size, longest = (
            -(-int(most) // of) * of for most, of in ((length.sum((1, 2)).max(), SIZES), (length.max(), LENGTHS))
        )
        return {"size": size, "longest": min(longest, self.texts.tokens.ids.shape[1])}

    def _tensor(self, array: Integers) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _update(
        self, rows: Tensor, rate: Tensor, weights: Tensor, alphas: Tensor | None = None, *, size: int, longest: int
    ) -> tuple[Tensor]:
        """An update of all; the losses (E,) before it."""
        self.updates += 1
        slots = torch.empty(size, device=self.device)
        losses = []
        for group in self._groups:
            table, rest = (each[group].detach() for each in self.parameters)
            learnt = [table, rest][self.learnt]
            for each in learnt:
                each.requires_grad_()
            shown = self.texts.take(rows[group])
            texts = Taught(self.shape.names.texts(shown.tokens).cut(longest), shown.label, shown.teacher)
            own = weights[group], None if alphas is None else alphas[group]
            loss = self._loss(self.shape, table, rest, texts, slots, *own, self.config, self.precision)
            gradients = torch.autograd.grad(loss.sum(), learnt)
            with torch.no_grad():
                self._adamw(
                    [each.detach() for each in learnt],
                    gradients,
                    [Moments(each.first[group], each.second[group]) for each in self.moments],
                    *(self.updates[group], rate[group], self.config.weight_decay, self.config.clip),
                )
            losses.append(loss.detach())
        return (torch.cat(losses),)

    @torch.no_grad()
    def _outputs(self, tokens: Tokens, rows: Tensor, size: int, longest: int) -> tuple[Tensor, Tensor]:
        """The outputs of all on texts of their own at ``rows`` (E, n), or on the same ones (1, n)."""
        slots = torch.empty(size, device=self.device)
        parts = []
        for group in self._groups:
            table, rest = (each[group] for each in self.parameters)
            shown = tokens.take(rows.expand(len(table), -1) if len(rows) == 1 else rows[group])
            texts = self.shape.names.texts(shown).cut(longest)
            parts.append(self._predict(self.shape, table, rest, texts, slots, self.precision))
        return torch.cat([part.logits for part in parts]), torch.cat([part.pooled for part in parts])

    def _read(self, run: Callable[..., tuple[Tensor, ...]], length: Integers, rows: Integers) -> Outputs:
        """Outputs in the order of ``rows`` (E or 1, n); texts of similar length share a pass."""
        order = _order(length[rows])
        parts = np.array_split(np.take_along_axis(rows, order, 1), -(-rows.shape[1] // TEXTS), axis=1)
        found = [Outputs(*run(self._tensor(part), **self._room(length[part]))) for part in parts]
        return Outputs.cat(found).take(self._tensor(np.argsort(order, axis=1)).expand(self.number, -1))

    def forward(self, rows: Integers, anchors: Integers, updates: int) -> Outputs:
        """Outputs (E, N, ·) on the candidates of the next :meth:`step`, in their order; nothing is learnt."""
        return self._read(self._replay_look, self.length, rows)

    def dev_pass(self) -> Outputs:
        """Outputs (E, n, ·) on dev."""
        return self._read(self._replay_dev, self._dev_length, np.arange(len(self._dev_length))[None])

    def outputs(self, tokens: Tokens) -> Outputs:
        """Outputs (E, n, ·) on other texts, the same for all."""
        return self._read(partial(self._outputs, tokens), self._lengths(tokens), np.arange(len(tokens))[None])

    def student(self, i: int) -> PreTrainedModel:
        """A copy of student i as it is now."""
        student = deepcopy(self.template)
        for name, parameter in student.named_parameters():
            parameter.data.copy_(self._views()[name][i])
        return student

    def state(self, i: int) -> dict[str, Any]:
        """A copy of everything that learning changes in student i."""
        return {name: each[i].clone() for name, each in self._learning().items()}

    def restore(self, state: dict[str, Any], i: int) -> None:
        """Go back to a :meth:`state`; going on from there repeats the same arithmetic."""
        for name, each in self._learning().items():
            each[i] = state[name]

    def _learning(self) -> dict[str, Tensor]:
        moments = {
            f"{kind}{i}": getattr(each, kind) for i, each in enumerate(self.moments) for kind in ("first", "second")
        }
        return {"table": self.parameters[0], "rest": self.parameters[1], "updates": self.updates, **moments}
