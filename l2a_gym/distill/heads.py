"""A classifier that is a linear head on sentence vectors: what it reads of texts, and of pairs."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from l2a_gym.distill.regression import Head


class VectorClassifier(PreTrainedModel):
    """A linear head on mean-pooled sentence vectors: of a text its own, of a pair one of each side.

    In the folder that ``save_pretrained`` writes, ``AutoModel.from_pretrained`` finds the encoder, and
    ``model.safetensors`` has ``head.weight`` and ``head.bias`` beside it.

    Args:
        config: the encoder's, with ``num_labels`` and ``classifier_sides``, 1 for texts and 2 for pairs.
        encoder: a BERT-like model without a head; None: one with new weights.
    """

    config_class = PreTrainedConfig
    _supports_sdpa = True

    def __init__(self, config: PreTrainedConfig, encoder: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        if encoder is None:  # the one that a checkpoint's own classifier has: not all have a pooler in it
            encoder = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False).base_model
        self.base_model_prefix = encoder.base_model_prefix  # so that AutoModel knows the encoder's weights
        self.add_module(self.base_model_prefix, encoder)
        width = config.hidden_size * (1 if config.classifier_sides == 1 else 4)
        self.head = torch.nn.Linear(width, len(config.id2label or ()))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        **unread: Any,
    ) -> SequenceClassifierOutput:
        """Logits (n, C) of texts, or of pairs whose second side is segment 1, padded to T tokens (n, T)."""
        segment = None if self.config.classifier_sides == 1 else token_type_ids
        vectors = side_vectors(self.base_model, input_ids, attention_mask, segment)
        return SequenceClassifierOutput(logits=self.head(head_input(vectors)))


def with_head(encoder: PreTrainedModel, head: Head) -> VectorClassifier:
    """The classifier of an encoder of width H and a head that reads H inputs of a text, or 4 H of a pair."""
    config = deepcopy(encoder.config)
    config.num_labels, config.classifier_sides = len(head.bias), 1 if head.weight.shape[1] == config.hidden_size else 2
    with torch.random.fork_rng():
        model = VectorClassifier(config, encoder)
    model.head.load_state_dict({"weight": head.weight, "bias": head.bias})
    torch.nn.Module.to(model, encoder.device)
    return model


def mean_state(encoder: torch.nn.Module, **inputs: Tensor) -> Tensor:
    """Means (n, H) of the last layer over the tokens of n texts, which are given as the encoder's arguments."""
    mask = inputs["attention_mask"][..., None]
    return (encoder(**inputs).last_hidden_state.float() * mask).sum(1) / mask.sum(1)


def side_vectors(
    encoder: torch.nn.Module, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
) -> Tensor:
    """Mean states of texts (n, 1, H), or of both sides of pairs, each read alone (n, 2, H)."""
    sides = [(input_ids, attention_mask)]
    if token_type_ids is not None:
        sides = split_sides(input_ids, attention_mask, token_type_ids)
    return torch.stack([mean_state(encoder, input_ids=ids, attention_mask=mask) for ids, mask in sides], 1)


def split_sides(ids: Tensor, mask: Tensor, segment: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The :func:`sides_of` pairs, each as wide as its longest."""
    sides = sides_of(ids, mask, segment)
    return [(side[:, :longest], seen[:, :longest]) for side, seen in sides for longest in [int(seen.sum(1).max())]]


def sides_of(ids: Tensor, mask: Tensor, segment: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Ids and mask (n, T) of each side of pairs: [CLS] a [SEP] b [SEP] becomes [CLS] a [SEP] and [CLS] b [SEP]."""
    second = segment * mask
    first = mask - second
    start, length = first.sum(1, keepdim=True), second.sum(1, keepdim=True)
    position = torch.arange(ids.shape[1], device=ids.device)
    place = torch.where(position > 0, start - 1 + position, 0).clamp(max=ids.shape[1] - 1)
    return [(ids, first), (ids.gather(1, place), (position <= length).long())]


def head_input(vectors: Tensor) -> Tensor:
    """What a head reads of mean vectors (n, 1 or 2, H): see :func:`compared`; they are scaled to unit length first."""
    return compared(F.normalize(vectors, dim=-1))


def compared(vectors: Tensor) -> Tensor:
    """Of texts (..., 1, H) their vectors (..., H); of pairs (..., 2, H) u, v, |u - v| and u * v in a row (..., 4 H)."""
    u, *rest = vectors.unbind(-2)
    return torch.cat([u, *(part for v in rest for part in (v, (u - v).abs(), u * v))], -1)
