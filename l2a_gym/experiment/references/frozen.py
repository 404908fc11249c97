"""Logistic regressions on the sentence vectors of the checkpoint, which is left as it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from l2a_gym.distill.best import Best
from l2a_gym.distill.encode import encode
from l2a_gym.distill.heads import head_input
from l2a_gym.distill.regression import PENALTIES, Head, cross_fit, fit, regression
from l2a_gym.distill.teacher import sentence_vectors
from l2a_gym.experiment.references.classifier import Classes, Classifier, classes_of
from l2a_gym.experiment.references.given import Given, Rows
from l2a_gym.preparation.regressions import PENALTIES as CLEANING
from l2a_gym.preparation.regressions import SHOT_COPIES
from l2a_gym.tasks.task import Texts

PARTITIONS = 5
"""Into folds, by all of which C is chosen: on few texts a single one tells little."""


def on_shots(given: Given) -> Classifier:
    """From the shots alone, by which C is chosen as well; by dev, where a class has only one."""
    shots = given.rows["train"]
    if given.label[shots].bincount().min() < 2:
        return _by_dev(given, shots)
    _, head = cross_validated(given, shots)
    return _classifier(given, head, head(given.inputs(given.rows["dev"])), given.count("train"))


def on_sources(given: Given) -> Classifier:
    """From source texts and shots."""
    return _by_dev(given, given.with_shots(given.rows["sources"]))


def on_cleaned_sources(given: Given) -> Classifier:
    """From the shots and the source texts whose label a regression finds that has not learnt from them."""
    return _by_dev(given, given.with_shots(cleaned(given)))


def on_all_labels(given: Given) -> Classifier:
    """From train, dev and select, by which C is chosen as well; dev is answered out of fold."""
    train, dev, select = (given.rows[split] for split in ("train", "dev", "select"))
    rows = np.concatenate([dev, train, select])
    logits, head = cross_validated(given, rows)
    return _classifier(given, head, logits[: len(dev)], len(rows))


def cross_validated(given: Given, rows: Rows) -> tuple[Tensor, Head]:
    """A regression on some rows, whose C is chosen by cross-validation within them, on several partitions.

    Returns:
        The mean logits (n, C) of each text by heads that have not learnt from it, and the head that learnt from all.
    """
    inputs, label, classes = given.inputs(rows), given.label[rows], len(given.task.labels)
    alike, every = torch.ones(len(rows)), torch.arange(len(rows))
    best: Best[tuple[Tensor, float]] = Best(label.repeat(PARTITIONS))
    for c in PENALTIES:
        left_out = torch.stack(
            [
                cross_fit(inputs, label, alike, every, classes=classes, penalties=[c], seed=given.seed + i)[0]
                for i in range(PARTITIONS)
            ]
        )
        if best.update(left_out.flatten(0, 1)):
            best.kept = left_out.mean(0), c
    logits, c = best.kept
    return logits, fit(inputs, label, classes, c)


def cleaned(given: Given) -> Rows:
    """The source rows whose label is the likeliest by a regression on the other folds' sources and shots."""
    sources, shots = given.rows["sources"], given.rows["train"]
    rows = np.concatenate([sources, shots])
    logits, _ = cross_fit(
        given.inputs(rows),
        given.label[rows],
        torch.from_numpy(np.repeat([1.0, SHOT_COPIES], [len(sources), len(shots)])),
        torch.arange(len(rows)),
        classes=len(given.task.labels),
        penalties=CLEANING,
        seed=given.seed,
    )
    return sources[(logits.argmax(1) == given.label[rows]).numpy()[: len(sources)]]


def _by_dev(given: Given, learnt: Rows) -> Classifier:
    dev = given.rows["dev"]
    inputs = given.inputs(dev)
    head = regression(given.inputs(learnt), given.label[learnt], inputs, given.label[dev])
    return _classifier(given, head, head(inputs), given.count("train", "dev"))


def _classifier(given: Given, head: Head, dev: Tensor, labels: int) -> Classifier:
    def classify(texts: Texts) -> Classes:
        tokens = encode(given.tokenizer, texts, given.task.max_length)
        return classes_of(head(head_input(sentence_vectors(given.encoder, tokens).float())))

    return Classifier(
        classify,
        dev=classes_of(dev),
        test=classes_of(head(given.inputs(given.rows["test"]))),
        labels=labels,
        parameters=given.encoder_size + head.weight.numel() + head.bias.numel(),
    )
