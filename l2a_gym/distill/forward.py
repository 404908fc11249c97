"""The forward pass of E students as one model, without what nobody reads.

It gives what each student's class in ``transformers`` gives, up to rounding. Padding is left out everywhere but between
queries and keys. A classifier of texts sees the first token alone, so the last layer is computed for that token alone,
and its two large products change places: a score q · K x is (Kᵀ q) · x, and the sum of a V x is V times the sum of a x,
which leaves no product of the layer's width squared for each token. (A key's bias adds the same to all of a query's
scores, and softmax takes it out again.) A classifier of pairs sees the mean over all tokens of each side.

Axes: E students, n texts of each, T tokens of the longest, M tokens of a student's texts without padding, H wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AlbertForSequenceClassification,
    BertForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.activations import ACT2FN

from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.heads import compared
from l2a_gym.distill.packing import Layout
from l2a_gym.distill.towers import PairAlbert, PairBert


@dataclass(frozen=True)
class Names:
    """What a class of ``transformers`` calls the parts of a student; ``{}`` stands for a layer's number.

    ``sides`` is 2 for students of pairs, whose two sides are texts of their own to them. They compare vectors that are
    means over the tokens, as the teachers' are.
    """

    embeddings: str
    widen: str
    layer: str
    attention: tuple[str, str, str, str, str]
    feed_forward: tuple[str, str, str]
    pooler: str
    sides: int = 1

    def texts(self, tokens: Tokens) -> Tokens:
        """The texts (..., sides * n) that the student encodes of n texts or pairs."""
        return tokens.sides() if self.sides == 2 else tokens


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
KINDS = {
    BertForSequenceClassification: BERT,
    AlbertForSequenceClassification: ALBERT,
    PairBert: replace(BERT, sides=2),
    PairAlbert: replace(ALBERT, sides=2),
}
"""The classes of students that there are."""


def kind_of(student: PreTrainedModel) -> Names:
    """What the student's class calls its parts."""
    return KINDS[type(student)]


def parameters_of(student: PreTrainedModel) -> dict[str, Tensor]:
    """A student's parameters as those of E = 1: name -> (1, ...); gradients reach the student's own."""
    return {name: parameter[None] for name, parameter in student.named_parameters()}


# Parts are compared by identity (eq=False): the compiler of torch 2.11 asks for hashes of those it has not filled yet.
@dataclass(frozen=True, eq=False)
class Affine:
    """E linear maps."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(E, M, in) to (E, M, out)."""
        if len(self.weight) == 1:  # a plain product is the faster one
            return F.linear(x.squeeze(0), self.weight.squeeze(0), self.bias.squeeze(0))[None]
        return x @ self.weight.mT + self.bias[:, None]  # the sum becomes part of what follows, when compiled


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class Outputs:
    """What students predict: logits (..., n, C), and the vectors (..., n, F) that their classifiers see; float32.

    F is H for texts and 4 H for pairs.
    """

    logits: Tensor
    pooled: Tensor

    def detach(self) -> Outputs:
        """The same without a gradient."""
        return Outputs(self.logits.detach(), self.pooled.detach())

    def first(self, n: int) -> Outputs:
        """Of the first n texts."""
        return Outputs(self.logits[..., :n, :], self.pooled[..., :n, :])

    def take(self, rows: Tensor) -> Outputs:
        """Of the texts at ``rows`` (..., m), in that order."""
        logits, pooled = (part.gather(-2, rows[..., None].expand(*rows.shape, part.shape[-1])) for part in self._both())
        return Outputs(logits, pooled)

    @staticmethod
    def cat(parts: Sequence[Outputs]) -> Outputs:
        """The texts of all parts, in order."""
        return Outputs(*(torch.cat(each, dim=-2) for each in zip(*(part._both() for part in parts), strict=True)))

    @staticmethod
    def stack(parts: Sequence[Outputs]) -> Outputs:
        """Of several students."""
        return Outputs(*(torch.stack(each) for each in zip(*(part._both() for part in parts), strict=True)))

    def _both(self) -> tuple[Tensor, Tensor]:
        return self.logits, self.pooled


class Forward:
    """The forward pass of E BERT or ALBERT classifiers without dropout.

    Args:
        tensors: a parameter's name -> (E, ...), of all students. Embeddings may be of higher precision than the rest.
        names: what the students' class calls them.
        config: of each student.
    """

    def __init__(self, tensors: Mapping[str, Tensor], names: Names, config: PreTrainedConfig) -> None:
        def affine(name: str) -> Affine:
            return Affine(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

        def norm(name: str) -> Norm:
            return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], config.layer_norm_eps)

        def layer(number: int) -> Layer:
            query, key, value, out, out_norm, inner, outer, last_norm = (
                names.layer.format(number) + part for part in (*names.attention, *names.feed_forward)
            )
            return Layer(
                config.num_attention_heads,
                *(affine(query), affine(key), affine(value), affine(out), norm(out_norm)),
                *(affine(inner), ACT2FN[config.hidden_act], affine(outer), norm(last_norm)),
            )

        self.sides = names.sides
        self.tables = [
            tensors[f"{names.embeddings}{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        ]
        self.norm = norm(f"{names.embeddings}LayerNorm")
        self.widen: Callable[[Tensor], Tensor] = affine(names.widen) if names.widen else torch.nn.Identity()
        self.layers = [layer(number) for number in range(config.num_hidden_layers)]
        self.pooler, self.classifier = affine(names.pooler), affine("classifier")

    def __call__(self, tokens: Tokens, size: int) -> Outputs:
        """The students' outputs (E, n, ·) on n texts or pairs of their own.

        Args:
            tokens: of their :meth:`Names.texts`, ids (E, sides * n, T), length and first (E, sides * n).
            size: M, see :meth:`Layout.from_lengths`.
        """
        seen = compared(self.pooled(tokens, size).unflatten(1, (-1, self.sides)))
        return Outputs(
            *(each.to(torch.promote_types(each.dtype, torch.float32)) for each in (self.classifier(seen), seen))
        )

    def pooled(self, tokens: Tokens, size: int) -> Tensor:
        """The vectors (E, n, H) of texts (E, n)."""
        layout = Layout.from_lengths(tokens.length, size, tokens.ids.shape[2])
        x = self._embed(tokens, layout)
        *layers, last = self.layers
        for layer in layers:
            x = layer(x, layout)
        state = last.first(x, layout) if self.sides == 1 else layout.mean(last(x, layout))
        return torch.tanh(self.pooler(state))

    def _embed(self, tokens: Tokens, layout: Layout) -> Tensor:
        first = tokens.first[..., None].expand_as(tokens.ids)
        ids, first = (each.flatten()[layout.place].view_as(layout.position) for each in (tokens.ids, first))
        index = (ids, layout.position, layout.position >= first)
        found = [_rows(table, each.long()) for table, each in zip(self.tables, index, strict=True)]
        return self.widen(self.norm(found[0] + found[1] + found[2]).to(self.pooler.weight.dtype))


def _rows(tables: Tensor, index: Tensor) -> Tensor:
    """Rows (E, M, H) of tables (E, V, H) at (E, M)."""
    students, size, _ = tables.shape
    begin = size * torch.arange(students, device=index.device)
    return F.embedding(index + begin[:, None], tables.flatten(0, 1))
