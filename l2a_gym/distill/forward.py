"""The forward pass of E students as one model, without what nobody reads.

It gives what each student's class in ``transformers`` gives, up to rounding. Padding is left out everywhere but between
queries and keys. The classifier sees the first token alone, so the last layer is computed for that token alone, and its
two large products change places: a score q · K x is (Kᵀ q) · x, and the sum of a V x is V times the sum of a x, which
leaves no product of the layer's width squared for each token. (A key's bias adds the same to all of a query's scores,
and softmax takes it out again.)

Axes: E students, n texts of each, T tokens of the longest, M tokens of a student's texts without padding, H wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AlbertForSequenceClassification, BertForSequenceClassification, PreTrainedModel
from transformers.activations import ACT2FN

from l2a_gym.distill.encode import Tokens


@dataclass(frozen=True)
class Names:
    """What a class of ``transformers`` calls the parts of a student; ``{}`` stands for a layer's number."""

    embeddings: str
    widen: str
    layer: str
    attention: tuple[str, str, str, str, str]
    feed_forward: tuple[str, str, str]
    pooler: str


BERT = Names(
    embeddings="bert.embeddings.",
    widen="",
    layer="bert.encoder.layer.{}.",
    attention=(
        *("attention.self.query", "attention.self.key", "attention.self.value"),
        *("attention.output.dense", "attention.output.LayerNorm"),
    ),
    feed_forward=("intermediate.dense", "output.dense", "output.LayerNorm"),
    pooler="bert.pooler.dense",
)
ALBERT = Names(
    embeddings="albert.embeddings.",
    widen="albert.encoder.embedding_hidden_mapping_in",
    layer="albert.encoder.albert_layer_groups.{}.albert_layers.0.",
    attention=("attention.query", "attention.key", "attention.value", "attention.dense", "attention.LayerNorm"),
    feed_forward=("ffn", "ffn_output", "full_layer_layer_norm"),
    pooler="albert.pooler",
)
KINDS = {BertForSequenceClassification: BERT, AlbertForSequenceClassification: ALBERT}
"""The classes of students that there are."""

MULTIPLE = 64
"""M is a multiple of this: few shapes, so that the memory of a pass fits the next one."""


class Stack:
    """The parameters of E students of one shape, one tensor for all.

    The students stay models of ``transformers``: their parameters become views of the stack, so that what is loaded
    into a student or learnt by it is in the stack, and the other way round.

    Args:
        students: of one class and configuration, on one device.

    Attributes:
        students: the same.
        tensors: a parameter's name -> (E, ...); gradients gather here until :meth:`hand_out`.
    """

    def __init__(self, students: Sequence[PreTrainedModel]) -> None:
        self.students = list(students)
        named = [dict(student.named_parameters()) for student in students]
        self.tensors = {name: torch.stack([each[name].detach() for each in named]) for name in named[0]}
        for i, each in enumerate(named):
            for name, parameter in each.items():
                parameter.data = self.tensors[name][i]
        for name, tensor in self.tensors.items():
            tensor.requires_grad_(named[0][name].requires_grad)

    def hand_out(self) -> None:
        """Give each student its part of the gradients, and begin to gather anew."""
        for i, student in enumerate(self.students):
            for name, parameter in student.named_parameters():
                if (gathered := self.tensors[name].grad) is not None:
                    parameter.grad = gathered[i]
        for tensor in self.tensors.values():
            tensor.grad = None


@dataclass(frozen=True)
class Affine:
    """E linear maps."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(E, M, in) to (E, M, out)."""
        if len(self.weight) == 1:  # a plain product is the faster one
            return F.linear(x.squeeze(0), self.weight.squeeze(0), self.bias.squeeze(0))[None]
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


@dataclass(frozen=True)
class Norm:
    """E layer norms."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        """(E, M, H) to the same."""
        if len(self.weight) == 1:
            return F.layer_norm(x, x.shape[-1:], self.weight.squeeze(0), self.bias.squeeze(0), self.eps)
        return torch.addcmul(self.bias[:, None], F.layer_norm(x, x.shape[-1:], eps=self.eps), self.weight[:, None])


@dataclass(frozen=True)
class Layout:
    """Where the tokens of E x n texts stand, padding left out.

    Attributes:
        place: (E, M) each token's position in the E x n x T places of padded texts. Students with fewer than M tokens
            are filled up with tokens that nobody reads; their place is the one after the last.
        mask: (E * n, T) bool, places that are no padding.
    """

    place: Tensor
    mask: Tensor

    @staticmethod
    def of(mask: Tensor, students: int) -> Layout:
        """The layout of texts, a student's after another's."""
        count = mask.view(students, -1).sum(1)
        most = -(-int(count.max()) // MULTIPLE) * MULTIPLE
        filled = torch.arange(most, device=mask.device) < count[:, None]
        place = torch.full(filled.shape, mask.numel(), device=mask.device)
        return Layout(place.masked_scatter(filled, mask.flatten().nonzero()[:, 0]), mask)

    @cached_property
    def read(self) -> Tensor:
        """(E * M,) the places to read tokens from; for tokens that nobody reads, their student's first.

        That of another student would do as well, until one of them has weights that are not finite.
        """
        students, size = len(self.place), self.mask.numel()
        first = torch.arange(0, size, size // students, device=self.place.device)[:, None]
        return torch.where(self.place < size, self.place, first).flatten()

    def pad(self, packed: Tensor) -> Tensor:
        """(E, M, H) to (E * n, T, H); padding is zero."""
        size, width = self.mask.numel(), packed.shape[2]
        padded = packed.new_zeros(size + 1, width).index_copy(0, self.place.flatten(), packed.flatten(0, 1))
        return padded[:size].view(*self.mask.shape, width)

    def pack(self, padded: Tensor) -> Tensor:
        """(E * n, T, H) to (E, M, H)."""
        return padded.flatten(0, 1).index_select(0, self.read).view(*self.place.shape, -1)

    def attend(self, scores: Tensor) -> Tensor:
        """Scores (E * n, heads, queries, T) to probabilities."""
        return scores.masked_fill(~self.mask[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)


@dataclass(frozen=True)
class Layer:
    """The parts of a layer of BERT or of ALBERT, in the order of the data."""

    heads: int
    query: Affine
    key: Affine
    value: Affine
    out: Affine
    out_norm: Norm
    inner: Affine
    activation: Callable[[Tensor], Tensor]
    outer: Affine
    norm: Norm

    def __call__(self, x: Tensor, layout: Layout) -> Tensor:
        """All tokens (E, M, H), after the layer."""
        parts = (self.query, self.key, self.value)
        as_one = Affine(torch.cat([part.weight for part in parts], 1), torch.cat([part.bias for part in parts], 1))
        query, key, value = (self._heads(each) for each in layout.pad(as_one(x)).chunk(3, dim=2))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=layout.mask[:, None, None])
        return self._finish(x, layout.pack(mixed.transpose(1, 2).flatten(2)))

    def first(self, x: Tensor, layout: Layout) -> Tensor:
        """The first token of each text, (E, n, H), after the layer."""
        students, tokens = len(x), layout.pad(x)  # (E * n, T, H)
        start = tokens[:, 0].unflatten(0, (students, -1))  # (E, n, H)
        key, value = (part.weight.unflatten(1, (self.heads, -1)) for part in (self.key, self.value))  # (E, heads, d, H)
        asked = (self._heads(self.query(start)) @ key).transpose(1, 2).flatten(0, 1)  # (E * n, heads, H)
        scores = asked @ tokens.mT / sqrt(key.shape[2])
        seen = layout.attend(scores[:, :, None])[:, :, 0] @ tokens  # (E * n, heads, H)
        mixed = seen.unflatten(0, (students, -1)).transpose(1, 2) @ value.mT  # (E, heads, n, d)
        return self._finish(start, mixed.transpose(1, 2).flatten(2) + self.value.bias[:, None])

    def _heads(self, x: Tensor) -> Tensor:
        """(a, b, H) to (a, heads, b, d)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.out_norm(self.out(mixed) + x)
        return self.norm(self.outer(self.activation(self.inner(x))) + x)


@dataclass(frozen=True)
class Outputs:
    """What a student says of n texts: logits (n, C), and the vectors (n, H) that its classifier sees; float32."""

    logits: Tensor
    pooled: Tensor

    def of(self, students: int, first: int | None = None) -> list[Outputs]:
        """Of texts of several students, a student's after another's: each one's, or the first of each; detached."""
        parts = (part.detach().unflatten(0, (students, -1))[:, :first] for part in (self.logits, self.pooled))
        return [Outputs(*both) for both in zip(*parts, strict=True)]

    @staticmethod
    def cat(parts: Sequence[Outputs]) -> Outputs:
        """The texts of all parts, in order."""
        return Outputs(torch.cat([part.logits for part in parts]), torch.cat([part.pooled for part in parts]))

    def take(self, rows: Tensor) -> Outputs:
        """Of the texts at ``rows``, in that order."""
        return Outputs(self.logits[rows], self.pooled[rows])


class Forward:
    """The forward pass of E BERT or ALBERT classifiers without dropout.

    Args:
        stack: their parameters.
    """

    def __init__(self, stack: Stack) -> None:
        self.students = len(stack.students)
        config, names = stack.students[0].config, KINDS[type(stack.students[0])]

        def affine(name: str) -> Affine:
            return Affine(stack.tensors[f"{name}.weight"], stack.tensors[f"{name}.bias"])

        def norm(name: str) -> Norm:
            return Norm(stack.tensors[f"{name}.weight"], stack.tensors[f"{name}.bias"], config.layer_norm_eps)

        def layer(number: int) -> Layer:
            query, key, value, out, out_norm, inner, outer, last_norm = (
                names.layer.format(number) + part for part in (*names.attention, *names.feed_forward)
            )
            return Layer(
                config.num_attention_heads,
                *(affine(query), affine(key), affine(value), affine(out), norm(out_norm)),
                *(affine(inner), ACT2FN[config.hidden_act], affine(outer), norm(last_norm)),
            )

        self.tables = [
            stack.tensors[f"{names.embeddings}{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        ]
        self.norm = norm(f"{names.embeddings}LayerNorm")
        self.widen: Callable[[Tensor], Tensor] = affine(names.widen) if names.widen else torch.nn.Identity()
        self.layers = [layer(number) for number in range(config.num_hidden_layers)]
        self.pooler, self.classifier = affine(names.pooler), affine("classifier")

    def __call__(self, tokens: Tokens) -> Outputs:
        """The students' outputs on E * n texts, a student's after another's, in their order."""
        pooled = self.pooled(tokens)
        return Outputs(self.classifier(pooled).flatten(0, 1).float(), pooled.flatten(0, 1).float())

    def pooled(self, tokens: Tokens) -> Tensor:
        """The vectors (E, n, H) that the classifiers see."""
        inputs = tokens.inputs()
        layout = Layout.of(inputs["attention_mask"].bool(), self.students)
        x = self._embed(inputs, layout)
        for layer in self.layers[:-1]:
            x = layer(x, layout)
        return torch.tanh(self.pooler(self.layers[-1].first(x, layout)))

    def _embed(self, inputs: Mapping[str, Tensor], layout: Layout) -> Tensor:
        ids = inputs["input_ids"].flatten()[layout.read]
        types = inputs["token_type_ids"].flatten()[layout.read] if "token_type_ids" in inputs else torch.zeros_like(ids)
        index = (ids, layout.read % layout.mask.shape[1], types)
        found = [_rows(table, each.view(self.students, -1)) for table, each in zip(self.tables, index, strict=True)]
        return self.widen(self.norm(found[0] + found[1] + found[2]))


def _rows(tables: Tensor, index: Tensor) -> Tensor:
    """Rows (E, M, H) of tables (E, V, H) at (E, M)."""
    students, size, _ = tables.shape
    begin = size * torch.arange(students, device=index.device)
    return F.embedding(index + begin[:, None], tables.flatten(0, 1))
