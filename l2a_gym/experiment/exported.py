"""What an exported folder is worth and what it costs, asked as its users ask it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import TextClassificationPipeline, pipeline

from l2a_gym.distill.calibration import calibration_error
from l2a_gym.distill.onnx import FLOAT32, INT8, load_onnx
from l2a_gym.distill.towers import load_student
from l2a_gym.experiment.figures import speeds, texts_per_second
from l2a_gym.tasks.task import Task, Texts

log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
BATCH = 64
"""Texts that an exported student is asked for at a time."""
SAME = {FLOAT32: 0.995, INT8: 0.98}
"""ONNX file -> share of texts that have to get the label that PyTorch gives them."""


def score_export(folder: Path, task: Task, temperature: float, device: torch.device) -> dict[str, Any]:
    """Size, speed and scores on test of an exported student.

    Args:
        folder: the student's.
        task: its task.
        temperature: what its logits were divided by.
        device: where it is asked.

    Returns:
        ``parameters``, ``texts_per_second``, ``test_accuracy``, and ``calibration_error``, which it has (``after``) and
        had without the temperature (``before``); with ONNX files ``formats``, as of :func:`score_formats`.
    """
    classify = pipeline("text-classification", load_student(folder), tokenizer=str(folder), device=device)
    logits, label = _logits(classify, task), torch.from_numpy(task.test.label)
    scores = {
        "parameters": classify.model.num_parameters(),
        "texts_per_second": texts_per_second(partial(_ask, classify), task.test),
        "test_accuracy": float((logits.argmax(1) == label).double().mean()),
        "calibration_error": {
            "before": calibration_error((logits * temperature).softmax(1), label),
            "after": calibration_error(logits.softmax(1), label),
        },
    }
    return scores | ({"formats": score_formats(folder, task)} if (folder / FLOAT32).exists() else {})


def score_formats(folder: Path, task: Task) -> dict[str, dict[str, float]]:
    """Compare the ONNX files of an exported student with PyTorch, on test and on one core.

    Returns:
        File -> its size in ``megabytes``, ``test_accuracy``, ``same_labels``, the share of texts that get the label of
        PyTorch, and ``texts_per_second``, for which the files take turns.
    """
    classify = pipeline("text-classification", load_student(folder), tokenizer=str(folder), device="cpu")
    asked: dict[str, Callable[[Texts], NDArray[Any]]] = {
        WEIGHTS: lambda texts: np.array([task.labels.index(each["label"]) for each in _ask(classify, texts)])
    }
    asked |= {name: partial(_onnx_classes, load_onnx(folder, name)) for name in (FLOAT32, INT8)}
    found, speed = {name: ask(task.test) for name, ask in asked.items()}, speeds(asked, task.test)
    figures = {
        name: {
            "megabytes": (folder / name).stat().st_size / 1e6,
            "test_accuracy": float((classes == task.test.label).mean()),
            "same_labels": float((classes == found[WEIGHTS]).mean()),
            "texts_per_second": speed[name],
        }
        for name, classes in found.items()
    }
    for name, least in SAME.items():
        if (same := figures[name]["same_labels"]) < least:
            log.warning("%s gives only %.1f %% of the test texts the label of %s", name, 100 * same, WEIGHTS)
    return figures


def _ask(classify: TextClassificationPipeline, texts: Texts, **options: Any) -> list[Any]:
    pairs = texts.pair and [{"text": a, "text_pair": b} for a, b in zip(texts.text, texts.pair, strict=True)]
    answers: list[Any] = classify(pairs or list(texts.text), batch_size=BATCH, **options)
    return answers


def _logits(classify: TextClassificationPipeline, task: Task) -> torch.Tensor:
    answers = _ask(classify, task.test, top_k=None, function_to_apply="none")
    scores = [{each["label"]: each["score"] for each in answer} for answer in answers]
    return torch.tensor([[score[label] for label in task.labels] for score in scores])


def _onnx_classes(logits: Callable[[Any], NDArray[np.float32]], texts: Texts) -> NDArray[Any]:
    rows = [*zip(texts.text, texts.pair, strict=True)] if texts.pair else list(texts.text)
    return np.concatenate([logits(rows[i : i + BATCH]).argmax(1) for i in range(0, len(rows), BATCH)])
