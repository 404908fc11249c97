"""SetFit (Tunstall et al., 2022): the checkpoint fine-tuned on pairs of shots, by the package ``setfit``."""

from __future__ import annotations

from math import ceil
from tempfile import TemporaryDirectory

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from l2a_gym.distill.checkpoint import checkpoint_folder
from l2a_gym.experiment.references.classifier import Classes, Classifier
from l2a_gym.experiment.references.given import Given
from l2a_gym.tasks.task import Texts

UPDATES = 300
"""At most: with many classes, the pairs of an epoch would take hours."""
BATCH = 16
"""Pairs in an update, the package's default."""


def set_fit(given: Given) -> Classifier:
    """SetFit with its defaults, from the shots: one epoch of pairs, and a logistic regression."""
    from sentence_transformers import SentenceTransformer  # the packages of the extra "peers" take seconds to import
    from setfit import SetFitModel, Trainer, TrainingArguments

    task = given.task
    shots = Dataset.from_dict({"text": task.train.text, "label": task.train.label})
    folder, safely = checkpoint_folder(given.checkpoint), {"use_safetensors": True}
    with torch.random.fork_rng(), TemporaryDirectory() as scratch:
        body = SentenceTransformer(folder, device="cpu", trust_remote_code=False, model_kwargs=safely)
        body.max_seq_length = task.max_length
        model = SetFitModel(model_body=body, model_head=LogisticRegression())
        settings = TrainingArguments(
            output_dir=scratch,
            max_steps=updates_of(task.train.label),
            seed=given.seed,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        Trainer(model=model, args=settings, train_dataset=shots).train()

    def classify(texts: Texts) -> Classes:
        return np.asarray(model.predict(list(texts.text), show_progress_bar=False)).astype(np.int64)

    head = model.model_head
    return Classifier(
        classify,
        dev=classify(task.dev),
        test=classify(task.test),
        labels=given.count("train"),
        parameters=sum(each.numel() for each in body.parameters()) + head.coef_.size + head.intercept_.size,
    )


def updates_of(label: NDArray[np.int64]) -> int:
    """Updates of an epoch: pairs of one class and of two, of each as many as of the more frequent kind."""
    every, alike = (int((n * (n + 1) // 2).sum()) for n in (np.array([len(label)]), np.bincount(label)))
    return min(UPDATES, ceil(2 * max(alike, every - alike) / BATCH))
