"""A linear head on sentence vectors: what it reads of texts and of pairs, and its fit by logistic regression."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from l2a_gym.distill.best import Best

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""The values of C that a regression is fitted with, the strongest penalty first."""
TEMPERATURES = torch.logspace(-2, 2, 81)
"""What logits may be divided by."""


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


def with_head(encoder: PreTrainedModel, weight: Tensor, bias: Tensor) -> VectorClassifier:
    """The classifier of an encoder of width H and a head: weight (C, H) for texts or (C, 4 H) for pairs, bias (C,)."""
    config = deepcopy(encoder.config)
    config.num_labels, config.classifier_sides = len(bias), 1 if weight.shape[1] == config.hidden_size else 2
    with torch.random.fork_rng():
        model = VectorClassifier(config, encoder)
    model.head.load_state_dict({"weight": weight, "bias": bias})
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
    """Ids and mask of each side of pairs (n, T): [CLS] a [SEP] b [SEP] becomes [CLS] a [SEP] and [CLS] b [SEP]."""
    second = segment * mask
    first = mask - second
    start, length = first.sum(1, keepdim=True), second.sum(1, keepdim=True)
    position = torch.arange(int(length.max()) + 1, device=ids.device)
    place = torch.where(position > 0, start - 1 + position, 0).clamp(max=ids.shape[1] - 1)
    longest = int(start.max())
    return [(ids[:, :longest], first[:, :longest]), (ids.gather(1, place), (position <= length).long())]


def head_input(vectors: Tensor) -> Tensor:
    """What a head reads of mean vectors, which are scaled to unit length first.

    Of a text (n, 1, H) its vector (n, H); of a pair (n, 2, H) u, v, |u - v| and u * v, one after the other (n, 4 H).
    """
    u, *rest = F.normalize(vectors, dim=-1).unbind(1)
    return torch.cat([u, *(part for v in rest for part in (v, (u - v).abs(), u * v))], 1)


def regression(train: Tensor, label: Tensor, dev: Tensor, dev_label: Tensor) -> tuple[Tensor, Tensor]:
    """A head fitted by logistic regression, with the penalty that is best on dev.

    Args:
        train: (n, F) of :func:`head_input`.
        label: (n,) from 0 to C - 1, each of them at least once.
        dev: (m, F).
        dev_label: (m,).

    Returns:
        Weight (C, F) and bias (C,), float32 on the CPU.
    """
    best: Best[tuple[Tensor, Tensor]] = Best(dev_label.cpu())
    inputs, labels, held_out = train.double().cpu().numpy(), label.cpu().numpy(), dev.cpu()
    for c in PENALTIES:
        fitted = LogisticRegression(C=c, max_iter=1000).fit(inputs, labels)
        weight, bias = (torch.from_numpy(part).float() for part in (fitted.coef_, fitted.intercept_))
        if len(bias) == 1:  # of two classes there is one row, the log-odds of the second
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        if best.update(F.linear(held_out, weight, bias)):
            best.kept = weight, bias
    return best.kept


def calibrate(model: VectorClassifier, logits: Tensor, label: Tensor) -> None:
    """Divide a head by the temperature at which its logits (n, C) have the lowest loss (Guo et al., 2017)."""
    losses = torch.stack([F.cross_entropy(logits / temperature, label) for temperature in TEMPERATURES.tolist()])
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.div_(TEMPERATURES[int(losses.argmin())])
