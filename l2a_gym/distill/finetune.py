"""Teachers: what is made of a checkpoint with labelled texts, each step by what it is worth on dev."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import PreTrainedModel

from l2a_gym.distill.best import Best
from l2a_gym.distill.calibration import divide_logits, temperature
from l2a_gym.distill.data import Labelled
from l2a_gym.distill.device import teacher_precision
from l2a_gym.distill.encode import shuffled_batches
from l2a_gym.distill.heads import VectorClassifier, head_input, with_head
from l2a_gym.distill.regression import Head, regression
from l2a_gym.distill.teacher import predict
from l2a_gym.progress import progress_bar

HEAD_RATE = 10
"""Learning rate of a head on sentence vectors over the encoder's: on unit vectors its weights are large."""

GAIN = 0.03
"""Accuracy on dev that fine-tuning from a regression has to gain, for nothing else to be tried."""


@dataclass(frozen=True)
class FineTuning:
    """How a teacher is fine-tuned: AdamW, linear warm-up and decay, dev looked at as it goes.

    Attributes:
        updates: at most this many.
        passes: at most this many passes over the texts.
        batch: texts in an update.
        learning_rate: the peak.
        looks: at dev, evenly spread over the updates, besides one at the start.
        patience: looks with neither a higher accuracy nor a lower loss after which it stops.
    """

    updates: int
    batch: int
    learning_rate: float
    passes: int = 30
    looks: int = 10
    patience: int = 3


@dataclass(frozen=True)
class WithVectors(Labelled):
    """Labelled texts with their mean vectors (n, S, H) by the checkpoint, S = 1 for texts and 2 for pairs."""

    vectors: Tensor


FEW_SHOT = FineTuning(updates=300, batch=16, learning_rate=5e-5)
ALL_DATA = FineTuning(updates=300, batch=32, learning_rate=5e-5, passes=3, patience=5)


def make_teacher(
    model: PreTrainedModel, train: WithVectors, dev: WithVectors, config: FineTuning, *, seed: int, name: str
) -> tuple[PreTrainedModel, Head]:
    """The best teacher on dev of those that can be made of a checkpoint.

    A checkpoint that is a trained classifier is fine-tuned as it is. Another gets a head on sentence vectors by
    logistic regression, which is then fine-tuned with its encoder (LP-FT, Kumar et al., 2022). Where this gains little,
    the checkpoint's own way to classify is fine-tuned too, and competes with it. A head that learns few texts by heart
    is too sure of itself, so it is calibrated on dev.

    Args:
        model: the checkpoint with its classifier, or a new one; changed in place.
        train: texts to learn from, at least one of each class.
        dev: texts to choose by.
        config: of the fine-tuning.
        seed: of the fine-tuning.
        name: for the progress bar.

    Returns:
        The teacher, and the calibrated head by regression, which reads :func:`~l2a_gym.distill.heads.head_input` of the
        checkpoint's vectors.
    """
    tuned = partial(fine_tune, train=train, dev=dev, config=config, seed=seed, name=name)
    inputs, held_out = (head_input(part.vectors.float()) for part in (train, dev))
    head = regression(inputs, train.label, held_out, dev.label)
    calibrated = head.divided(temperature(head(held_out), dev.label))
    if is_trained_classifier(model):
        return tuned(model), calibrated
    frozen = with_head(cast(PreTrainedModel, deepcopy(model.base_model)), head)
    best: Best[PreTrainedModel] = Best(dev.label)
    _compare(deepcopy(frozen), dev, best)
    start = best.accuracy
    _compare(tuned(frozen), dev, best)
    if best.accuracy < start + GAIN:
        _compare(tuned(model), dev, best)
    return best.kept, calibrated


def _compare(model: PreTrainedModel, dev: Labelled, best: Best[PreTrainedModel]) -> None:
    logits = predict(model, dev.tokens)
    if isinstance(model, VectorClassifier):
        sureness = temperature(logits, dev.label)
        divide_logits(model.head, sureness)
        logits = logits / sureness
    if best.update(logits):
        best.kept = model


def is_trained_classifier(model: PreTrainedModel) -> bool:
    """Whether a loaded checkpoint came with a classification head."""
    return any(name.endswith("ForSequenceClassification") for name in model.config.architectures or ())


def fine_tune(
    model: PreTrainedModel, train: Labelled, dev: Labelled, config: FineTuning, *, seed: int, name: str
) -> PreTrainedModel:
    """Fine-tune ``model`` in place; returns a copy of its best state on dev, the start included."""
    updates = min(config.updates, ceil(config.passes * len(train.label) / config.batch))
    between = max(1, updates // config.looks)
    optimizer, rate = _optimizer(model, config.learning_rate, updates)
    batches = shuffled_batches(train.tokens.length, config.batch)
    best: Best[PreTrainedModel] = Best(dev.label)
    since = 0
    with (
        torch.random.fork_rng(),
        progress_bar(total=updates, desc=f"fine-tuning the {name} teacher", leave=False) as bar,
    ):
        torch.manual_seed(seed)
        for step in range(updates + 1):
            if step % between == 0 or step == updates:
                if best.update(predict(model, dev.tokens)):
                    best.kept = deepcopy(model)
                since = 0 if best.gained else since + 1
                bar.set_postfix(dev_nll=f"{best.loss:.3f}")
            if since >= config.patience or step == updates:
                break
            rows = next(batches)
            model.train()
            with teacher_precision(train.label.device):
                logits = model(**train.tokens.take(rows).inputs()).logits
            F.cross_entropy(logits.float(), train.label[rows]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            rate.step()
            bar.update()
    return best.kept


def _optimizer(model: PreTrainedModel, peak: float, updates: int) -> tuple[Optimizer, LRScheduler]:
    """AdamW with a linear warm-up over a tenth of the updates and a linear decay."""
    groups = [
        {"params": [each for name, each in model.named_parameters() if name.startswith("head.") == head], "lr": rate}
        for head, rate in ((False, peak), (True, HEAD_RATE * peak))
    ]
    optimizer = AdamW(groups, weight_decay=0.01, fused=True)
    warmup = max(1, updates // 10)
    return optimizer, LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (updates - step) / max(1, updates - warmup))
    )
