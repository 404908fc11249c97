"""A student cut out of its teacher: it keeps what the pre-training left in the first layers.

Of each layer the feed-forward units that matter least are dropped (Michel et al., 2019, do so with heads); the word
embeddings are factorised to a lower rank, as ALBERT's are (Lan et al., 2020), whose class in ``transformers`` holds
such a model when every layer has a group of its own. General distillation then heals the cuts.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AlbertConfig, AlbertForSequenceClassification, BertForSequenceClassification, PreTrainedModel
from transformers.models.albert.modeling_albert import AlbertLayer, AlbertLayerGroup
from transformers.models.bert.modeling_bert import BertLayer

from l2a_gym.distill.encode import Tokens
from l2a_gym.errors import UserError

LAYERS = 2
"""Layers that are kept: the first, which read what the embeddings give."""
RANK = 7 / 24
"""Rank of the word embeddings over the teacher's width: of MiniLM's 384, 112 leave room for 9,300 pieces in 13.3 %."""
SAMPLE = 512
"""Texts on which the cuts are fitted."""


def pruned_config(teacher: PreTrainedModel, vocabulary: int, classes: int, max_length: int, pad: int) -> AlbertConfig:
    """The configuration of a student that :func:`prune` cuts out of this teacher.

    Raises:
        UserError: the teacher is no BERT.
    """
    if not isinstance(teacher, BertForSequenceClassification):
        raise UserError(
            f"student = 'pruned' needs a BERT as its teacher, not a {type(teacher).__name__}: valid is 'tiny'"
        )
    whole = teacher.config
    layers = min(LAYERS, whole.num_hidden_layers)
    config = AlbertConfig(
        vocab_size=vocabulary,
        embedding_size=max(1, round(RANK * whole.hidden_size)),
        hidden_size=whole.hidden_size,
        num_hidden_layers=layers,
        num_hidden_groups=layers,
        num_attention_heads=whole.num_attention_heads,
        intermediate_size=whole.hidden_size,
        hidden_act=whole.hidden_act,
        layer_norm_eps=whole.layer_norm_eps,
        max_position_embeddings=max_length,
        type_vocab_size=whole.type_vocab_size,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout_prob=0.0,
        pad_token_id=pad,
    )
    config.num_labels = classes
    return config


def count_pruned(config: AlbertConfig) -> int:
    """Parameters of the classifier with this configuration, without making its weights."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in AlbertForSequenceClassification(config).parameters())


@torch.no_grad()
def prune(teacher: PreTrainedModel, config: AlbertConfig, tokens: Tokens, seed: int) -> AlbertForSequenceClassification:
    """Cut a student out of a teacher whose word embeddings are trimmed to the student's pieces.

    Args:
        teacher: the model, not fine-tuned.
        config: of :func:`pruned_config`.
        tokens: n texts in the student's pieces; up to :data:`SAMPLE`, evenly spread, decide what is kept.
        seed: of the pooler and the classifier, which are new.
    """
    assert isinstance(teacher, BertForSequenceClassification)
    teacher.eval()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = AlbertForSequenceClassification(config)
    texts = tokens.take(torch.linspace(0, len(tokens) - 1, min(SAMPLE, len(tokens))).long()).inputs()
    hidden = _factorise(teacher, student, texts)
    read = texts["attention_mask"].bool()
    bars = torch.zeros(read.shape).masked_fill(~read, torch.finfo(torch.float32).min)[:, None, None]
    for whole, group in zip(teacher.bert.encoder.layer, student.albert.encoder.albert_layer_groups, strict=False):
        small = cast(AlbertLayerGroup, group).albert_layers[0]
        hidden = _cut_layer(cast(BertLayer, whole), cast(AlbertLayer, small), hidden, read, bars)
    return student


def _factorise(
    teacher: BertForSequenceClassification, student: AlbertForSequenceClassification, texts: dict[str, Tensor]
) -> Tensor:
    """Principal components of the words as often as they occur; then the linear map nearest to the teacher's norm.

    Returns:
        What the teacher's embeddings give, (n, T, H).
    """
    whole, small = teacher.bert.embeddings, student.albert.embeddings
    mask = texts["attention_mask"].bool()
    words = whole.word_embeddings.weight
    read = words[texts["input_ids"][mask]]
    mean = read.mean(0)
    _, directions = torch.linalg.eigh((read - mean).T @ (read - mean))  # ascending
    leading = directions.flip(1)[:, : student.config.embedding_size]
    small.word_embeddings.weight.copy_((words - mean) @ leading)
    positions = small.position_embeddings.weight
    positions.copy_(whole.position_embeddings.weight[: len(positions)] @ leading)
    small.token_type_embeddings.weight.copy_(whole.token_type_embeddings.weight @ leading)
    inputs = {"input_ids": texts["input_ids"], "token_type_ids": texts.get("token_type_ids")}
    hidden, own = whole(**inputs), small(**inputs)[mask]
    given, goal = F.pad(own, (0, 1), value=1.0).double(), hidden[mask].double()  # a norm's outputs sum to nought: rcond
    found = torch.linalg.lstsq(given, goal, rcond=1e-5, driver="gelsd").solution.float()
    widen = student.albert.encoder.embedding_hidden_mapping_in
    widen.weight.copy_(found[:-1].T)
    widen.bias.copy_(found[-1])
    return hidden


def _cut_layer(whole: BertLayer, small: AlbertLayer, hidden: Tensor, read: Tensor, bars: Tensor) -> Tensor:
    """Copy a layer with the feed-forward units that add most to its output.

    Args:
        whole: the teacher's layer.
        small: the student's.
        hidden: (n, T, H) what the teacher's layer is given.
        read: (n, T) bool, which tokens are no padding.
        bars: (n, 1, 1, T) what is added to the attention's scores, so that padding is not looked at.

    Returns:
        What the teacher's layer makes of ``hidden``.
    """
    own, theirs = small.attention, whole.attention
    pairs = [(getattr(own, name), getattr(theirs.self, name)) for name in ("query", "key", "value")]
    pairs += [(own.dense, theirs.output.dense), (own.LayerNorm, theirs.output.LayerNorm)]
    pairs += [(small.full_layer_layer_norm, whole.output.LayerNorm)]
    for mine, given in pairs:
        mine.load_state_dict(given.state_dict())
    into, out = whole.intermediate.dense, whole.output.dense
    active = whole.intermediate(theirs(hidden, bars)[0][read]).abs().mean(0)
    units = (active * out.weight.norm(dim=0)).topk(small.ffn.out_features).indices.sort().values
    small.ffn.weight.copy_(into.weight[units])
    small.ffn.bias.copy_(into.bias[units])
    small.ffn_output.weight.copy_(out.weight[:, units])
    small.ffn_output.bias.copy_(out.bias)
    following: Tensor = whole(hidden, bars)
    return following
