"""The student: a small BERT that starts from the teacher's embeddings and general distillation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from transformers import AlbertConfig, BertConfig, BertForSequenceClassification, PreTrainedModel

from l2a_gym.distill.device import autocast, student_precision
from l2a_gym.distill.encode import Tokens, shuffled_batches
from l2a_gym.distill.forward import Forward, kind_of, parameters_of
from l2a_gym.distill.packing import padded_size
from l2a_gym.distill.pruned import count_pruned, prune, pruned_config
from l2a_gym.distill.schedule import one_cycle
from l2a_gym.distill.teacher import embedding_table, keep_pieces
from l2a_gym.errors import check_least, unknown
from l2a_gym.progress import progress_bar

RATIO = 0.133
"""The student's share of the teacher's parameters in L2A (AAAI 2021)."""
AT_ONCE = 2**16
"""Vectors that are widened to float32 at a time."""
FEWEST = 8192
"""Pieces below which a vocabulary would cut too many words into letters."""


@dataclass(frozen=True)
class Shape:
    """Layers, hidden width, attention heads and feed-forward width of a BERT."""

    layers: int
    width: int
    heads: int
    inner: int

    def parameters(self, vocabulary: int, classes: int, max_length: int) -> int:
        """Parameters of a classifier of this shape."""
        w, inner = self.width, self.inner
        embeddings = (vocabulary + max_length + 2 + 2) * w  # the types of segments, a norm
        layer = 4 * (w * w + w) + 2 * w * inner + inner + w + 4 * w
        return embeddings + self.layers * layer + w * w + w + (w + 1) * classes


PRESETS = {"tiny": Shape(2, 128, 4, 512), "tinybert": Shape(4, 312, 12, 1200)}
CAREFUL = {"pruned": 0.6}
"""Factor of every learning rate for students whose layers were trained before."""


@dataclass(frozen=True)
class GeneralDistillation:
    """Task-free distillation of sentence vectors before the first episode (cf. TinyBERT's first stage).

    Attributes:
        updates: at most this many; 0 for none.
        mixed: texts, at most, that are made of others by :func:`~l2a_gym.augment.mixed.mixed_texts` and learnt from
            besides; no more than there are candidates, and no more than half of the texts that the updates read.
        passes: at most this many passes over the texts.
        batch: texts in an update.
        learning_rate: the peak.

    Raises:
        UserError: fewer than 0 updates.
    """

    updates: int = 1200
    mixed: int = 10_000
    passes: int = 8
    batch: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check_least(
            "general_updates", self.updates, 0
        )  # the name that the environment and the command line have for it


def student_names() -> list[str]:
    """The student presets."""
    return [*PRESETS, "ratio", "pruned"]


def scaled_rate(preset: str, learning_rate: float) -> float:
    """The learning rate for a preset where ``learning_rate`` is that of a student with new layers."""
    return CAREFUL.get(preset, 1.0) * learning_rate


def shape_student(
    preset: str, teacher: PreTrainedModel, vocabulary: int, classes: int, max_length: int, pad: int
) -> BertConfig | AlbertConfig:
    """The configuration of a preset for this teacher.

    Raises:
        UserError: unknown preset, or one that needs a teacher of another kind.
    """
    if preset == "pruned":
        return pruned_config(teacher, vocabulary, classes, max_length, pad)
    return student_config(preset, vocabulary, classes, max_length, teacher.num_parameters(), pad)


def start_student(
    config: BertConfig | AlbertConfig, teacher: PreTrainedModel, kept: NDArray[np.int64], tokens: Tokens, seed: int
) -> PreTrainedModel:
    """A student before general distillation.

    Args:
        config: of :func:`shape_student`.
        teacher: not fine-tuned; its word embeddings are trimmed to ``kept``.
        kept: (V,) the teacher's id of each of the student's pieces.
        tokens: texts in the student's pieces.
        seed: of the weights that are new.
    """
    keep_pieces(teacher, kept)
    if isinstance(config, AlbertConfig):
        return prune(teacher, config, tokens, seed)
    return new_student(config, embedding_table(teacher), seed)


def student_config(
    preset: str, vocabulary: int, classes: int, max_length: int, teacher_parameters: int, pad: int
) -> BertConfig:
    """The configuration of a preset; ``ratio`` takes the shape whose size is nearest to 13.3 % of the teacher's.

    Raises:
        UserError: unknown preset.
    """
    if preset not in student_names():
        raise unknown("student", preset, student_names())

    def distance(shape: Shape) -> float:
        return abs(shape.parameters(vocabulary, classes, max_length) - RATIO * teacher_parameters)

    shape = PRESETS[preset] if preset in PRESETS else min(_shapes(), key=distance)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=max_length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=pad,
    )
    config.num_labels = classes
    return config


def _shapes() -> Iterator[Shape]:
    """What ``ratio`` chooses from."""
    for layers, width in product((2, 3, 4, 6), range(64, 769, 32)):
        for inner in range(2 * width, 4 * width + 1, 32):
            yield Shape(layers, width, width // 32, inner)


def count_parameters(config: BertConfig) -> int:
    """Parameters of the classifier with this configuration, without making its weights."""
    layers, width, heads = config.num_hidden_layers, config.hidden_size, config.num_attention_heads
    shape = Shape(layers, width, heads, config.intermediate_size)
    return shape.parameters(config.vocab_size, len(config.id2label or ()), config.max_position_embeddings)


def vocabulary_limit(preset: str, teacher: PreTrainedModel, classes: int, max_length: int) -> int | None:
    """Pieces with which a student of this preset has RATIO of the teacher's parameters.

    None where the preset takes its shape from the vocabulary (``ratio``), or would keep fewer than :data:`FEWEST`.
    """
    if preset == "ratio":
        return None

    def size(vocabulary: int) -> int:
        config = shape_student(preset, teacher, vocabulary, classes, max_length, 0)
        return count_pruned(config) if isinstance(config, AlbertConfig) else count_parameters(config)

    piece = size(2) - size(1)
    limit = int((RATIO * teacher.num_parameters() - size(1)) // piece + 1)
    return limit if limit >= FEWEST else None


def new_student(config: BertConfig, embeddings: Tensor, seed: int) -> BertForSequenceClassification:
    """A student whose word embeddings are the teacher's (V, H), projected on their first principal components.

    A student wider than H keeps random values in the columns beyond H.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = BertForSequenceClassification(config)
        centred = embeddings.float().cpu() - embeddings.float().cpu().mean(0)
        _, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
        leading = directions.flip(1)[:, : config.hidden_size]
    student.bert.embeddings.word_embeddings.weight.data[:, : leading.shape[1]] = centred @ leading
    return student


def distil_generally(
    student: PreTrainedModel, tokens: Tokens, vectors: Tensor, config: GeneralDistillation, seed: int
) -> None:
    """Fit the student's sentence vector to the teacher's (n, H), which may be float16, in place, without any label.

    loss = 1 - cos(W s, v) + MSE of the batch's cosine-similarity matrices, with s the student's pooled vector, v the
    teacher's, and W a linear map that is thrown away afterwards. With ``updates=0`` the student stays as it is.
    """
    if not config.updates:
        return
    device = tokens.ids.device
    torch.nn.Module.to(student, device)
    precision = student_precision(device)
    centre = torch.stack([part.float().sum(0) for part in vectors.split(AT_ONCE)]).sum(0) / len(vectors)
    updates = max(1, min(config.updates, config.passes * len(tokens) // config.batch))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        widen = torch.nn.Linear(student.config.hidden_size, vectors.shape[1], bias=False).to(device)
        learnt = [*student.base_model.parameters(), *widen.parameters()]
        optimizer = torch.optim.AdamW(learnt, lr=config.learning_rate, fused=True)
        rate = one_cycle(optimizer, config.learning_rate, updates)
        batches = shuffled_batches(tokens.length, config.batch)
        bar = progress_bar(range(updates), desc="general distillation", leave=False)
        for _, rows in zip(bar, batches, strict=False):
            batch = tokens.take(rows)
            forward = Forward(parameters_of(student), kind_of(student), student.config)
            with autocast(device, precision):
                size = padded_size(int(batch.length.sum()))
                pooled = widen(forward.pooled(batch.cut(int(batch.length.max())).of_one(), size)[0])
            own = F.normalize(pooled.float(), dim=1)
            goal = F.normalize((vectors[rows.to(vectors.device)].float() - centre).to(device), dim=1)
            loss = (1 - (own * goal).sum(1)).mean() + F.mse_loss(own @ own.T, goal @ goal.T)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            rate.step()
