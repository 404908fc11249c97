"""Students of pairs: two towers of one encoder, each of which reads a side alone, as the teachers' do.

A side's vector is the mean of its last states, passed through the pooler: it knows the side's words better than the
state of [CLS] does, and comparing texts is much about which words they share.

``transformers`` has no such classes: folders have a ``model_type`` that it does not know, and it refuses to load them
until this module is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from l2a_gym.distill.heads import compared, mean_state, split_sides
from l2a_gym.errors import UserError


class TwoTowers(PreTrainedModel):
    """What both classes of students of pairs share: a linear classifier of u, v, |u - v| and u * v.

    Attributes:
        pooler: the name of the encoder's linear map behind the last layer.
    """

    pooler: str

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.classifier = torch.nn.Linear(4 * config.hidden_size, len(config.id2label or ()))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        **unread: Any,
    ) -> SequenceClassifierOutput:
        """Logits (n, C) of pairs whose second side is segment 1, padded to T tokens (n, T).

        Raises:
            UserError: a text has no second side.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if token_type_ids is None or not (token_type_ids * mask).any(1).all():
            raise UserError("this student reads pairs of texts: give it text and text_pair")
        vectors = [self.vectors(ids, seen) for ids, seen in split_sides(input_ids, mask, token_type_ids)]
        return SequenceClassifierOutput(logits=self.classifier(compared(torch.stack(vectors, 1))))

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The vectors (n, H) of texts that are read alone."""
        state = mean_state(self.base_model, input_ids=input_ids, attention_mask=attention_mask)
        return torch.tanh(self.get_submodule(self.pooler)(state))


class PairBertConfig(BertConfig):
    """The configuration of :class:`PairBert`."""

    model_type = "l2a-towers-bert"


class PairAlbertConfig(AlbertConfig):
    """The configuration of :class:`PairAlbert`."""

    model_type = "l2a-towers-albert"


class PairBert(TwoTowers, BertForSequenceClassification):
    """Two towers of a BERT."""

    config_class = PairBertConfig
    pooler = "bert.pooler.dense"


class PairAlbert(TwoTowers, AlbertForSequenceClassification):
    """Two towers of an ALBERT."""

    config_class = PairAlbertConfig
    pooler = "albert.pooler"


for _kind in (PairBert, PairAlbert):
    AutoConfig.register(_kind.config_class.model_type, _kind.config_class, exist_ok=True)
    AutoModelForSequenceClassification.register(_kind.config_class, _kind, exist_ok=True)


def two_towers(student: PreTrainedModel) -> PreTrainedModel:
    """A student of pairs with the encoder of a student of texts."""
    kind = PairBert if isinstance(student, BertForSequenceClassification) else PairAlbert
    config = student.config.to_dict()
    del config["model_type"], config["architectures"]
    with torch.random.fork_rng():
        towers: PreTrainedModel = kind(kind.config_class(**config))
    towers.base_model.load_state_dict(student.base_model.state_dict())
    return towers


def load_student(folder: str | Path) -> PreTrainedModel:
    """The student in an exported folder, of texts or of pairs, as a classifier of ``transformers``.

    Example:
        >>> model = load_student("runs/pairs/student")
        >>> classify = pipeline("text-classification", model=model, tokenizer="runs/pairs/student")
        >>> classify({"text": "a man sleeps", "text_pair": "a man is awake"})
    """
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False
    )
    return model
