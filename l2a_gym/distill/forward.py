"""A student's forward pass without what nobody reads.

It gives what the student's class in ``transformers`` gives, up to rounding. Padding is left out everywhere but between
queries and keys. The classifier sees the first token alone, so the last layer is computed for that token alone, and its
two large products change places: a score q · K x is (Kᵀ q) · x, and the sum of a V x is V times the sum of a x, which
leaves no product of the layer's width squared for each token. (A key's bias adds the same to all of a query's scores,
and softmax takes it out again.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from operator import attrgetter
from typing import cast

import torch
from torch import Tensor
from torch.nn import Embedding, LayerNorm, Linear
from transformers import AlbertForSequenceClassification, BertForSequenceClassification, PreTrainedModel
from transformers.models.albert.modeling_albert import AlbertLayerGroup
from transformers.models.bert.modeling_bert import BertPooler

from l2a_gym.distill.encode import Tokens


@dataclass(frozen=True)
class Outputs:
    """What the student says of n texts: logits (n, C), and the vectors (n, H) that its classifier sees; float32."""

    logits: Tensor
    pooled: Tensor


BERT = [
    *(f"attention.self.{name}" for name in ("query", "key", "value")),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "intermediate.intermediate_act_fn", "output.dense", "output.LayerNorm"),
]
"""Where a layer of BERT keeps the parts of a :class:`Layer`, in their order."""
ALBERT = [
    *(f"attention.{name}" for name in ("query", "key", "value", "dense", "LayerNorm")),
    *("ffn", "activation", "ffn_output", "full_layer_layer_norm"),
]
"""Where a layer of ALBERT keeps them."""


@dataclass(frozen=True)
class Layout:
    """Where the M tokens of n texts stand, padding left out.

    Attributes:
        place: (M,) each token's position in the n x T places of padded texts.
        mask: (n, T) bool, places that are no padding.
    """

    place: Tensor
    mask: Tensor

    def pad(self, packed: Tensor) -> Tensor:
        """(M, H) to (n, T, H); padding is zero."""
        n, longest = self.mask.shape
        return packed.new_zeros(n * longest, packed.shape[1]).index_copy(0, self.place, packed).view(n, longest, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """(n, T, H) to (M, H)."""
        return padded.flatten(0, 1).index_select(0, self.place)

    def attend(self, scores: Tensor) -> Tensor:
        """Scores (n, heads, queries, T) to probabilities."""
        return scores.masked_fill(~self.mask[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)


@dataclass(frozen=True)
class Layer:
    """The parts of a layer of BERT or of ALBERT, in the order of the data."""

    heads: int
    query: Linear
    key: Linear
    value: Linear
    out: Linear
    out_norm: LayerNorm
    inner: Linear
    activation: Callable[[Tensor], Tensor]
    outer: Linear
    norm: LayerNorm

    def __call__(self, x: Tensor, layout: Layout) -> Tensor:
        """All tokens (M, H), after the layer."""
        query, key, value = (self._split(layout.pad(part(x))) for part in (self.query, self.key, self.value))
        attention = layout.attend(query @ key.transpose(2, 3) / sqrt(query.shape[3]))
        return self._finish(x, layout.pack((attention @ value).transpose(1, 2).flatten(2)))

    def first(self, x: Tensor, layout: Layout) -> Tensor:
        """The first token of each text (n, H), after the layer."""
        tokens = layout.pad(x)  # (n, T, H)
        start = tokens[:, 0]
        key, value = (part.weight.unflatten(0, (self.heads, -1)) for part in (self.key, self.value))  # (heads, d, H)
        query = self.query(start).unflatten(1, (self.heads, -1)).transpose(0, 1)  # (heads, n, d)
        asked = (query @ key).transpose(0, 1)  # (n, heads, H)
        scores = asked @ tokens.transpose(1, 2) / sqrt(query.shape[2])
        seen = layout.attend(scores[:, :, None])[:, :, 0] @ tokens  # (n, heads, H)
        mixed = (seen.transpose(0, 1) @ value.transpose(1, 2)).transpose(0, 1).flatten(1)
        return self._finish(start, mixed + self.value.bias)

    def _split(self, padded: Tensor) -> Tensor:
        return padded.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.out_norm(self.out(mixed) + x)
        return self.norm(self.outer(self.activation(self.inner(x))) + x)


class Forward:
    """The forward pass of a BERT or ALBERT classifier without dropout; its parameters stay the model's own.

    Args:
        student: the model.
    """

    def __init__(self, student: PreTrainedModel) -> None:
        base = student.base_model
        embeddings = cast(torch.nn.Module, base.embeddings)
        self.words, self.positions, self.types = (
            cast(Embedding, getattr(embeddings, f"{name}_embeddings")) for name in ("word", "position", "token_type")
        )
        self.norm = cast(LayerNorm, embeddings.LayerNorm)
        if isinstance(student, AlbertForSequenceClassification):
            encoder = student.albert.encoder
            self.widen: Callable[[Tensor], Tensor] = encoder.embedding_hidden_mapping_in
            groups = [cast(AlbertLayerGroup, group).albert_layers for group in encoder.albert_layer_groups]
            layers, names = [layer for (layer,) in groups], ALBERT
            pooler = student.albert.pooler
        else:
            assert isinstance(student, BertForSequenceClassification)
            self.widen = torch.nn.Identity()
            layers, names = list(student.bert.encoder.layer), BERT
            pooler = cast(BertPooler, student.bert.pooler).dense
        heads = student.config.num_attention_heads
        self.layers = [Layer(heads, *(attrgetter(name)(layer) for name in names)) for layer in layers]
        self.pooler = pooler
        self.classifier = student.classifier

    def __call__(self, tokens: Tokens) -> Outputs:
        """The student's outputs on texts, in their order."""
        pooled = self.pooled(tokens)
        return Outputs(self.classifier(pooled).float(), pooled.float())

    def pooled(self, tokens: Tokens) -> Tensor:
        """The vectors (n, H) that the classifier sees."""
        inputs = tokens.inputs()
        mask = inputs["attention_mask"].bool()
        layout = Layout(mask.flatten().nonzero()[:, 0], mask)
        x = self._embed(inputs, layout)
        for layer in self.layers[:-1]:
            x = layer(x, layout)
        return torch.tanh(self.pooler(self.layers[-1].first(x, layout)))

    def _embed(self, inputs: dict[str, Tensor], layout: Layout) -> Tensor:
        ids, place = inputs["input_ids"].flatten()[layout.place], layout.place
        types = inputs["token_type_ids"].flatten()[place] if "token_type_ids" in inputs else torch.zeros_like(place)
        position = place % layout.mask.shape[1]
        return self.widen(self.norm(self.words(ids) + self.positions(position) + self.types(types)))
