"""Scores, against scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss

from l2a_gym.envs.episode import Scores
from l2a_gym.envs.reward import score


@pytest.mark.parametrize(("classes", "texts", "labelled"), [(2, 50, 2), (5, 200, 5), (7, 60, 3)])
def test_scores_are_those_of_scikit_learn(classes: int, texts: int, labelled: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(texts, classes, generator=generator)
    logits[:, -1] += 0 if labelled == classes else -100  # a class without any text or prediction
    label = torch.randint(labelled, (texts,), generator=generator)
    scores, guess = score(logits, label), logits.argmax(1)
    names = list(range(classes))
    assert scores.nll == pytest.approx(log_loss(label, logits.double().softmax(1), labels=names), abs=1e-6)
    assert scores.accuracy == accuracy_score(label, guess)
    f1 = f1_score(label, guess, labels=names, average="macro", zero_division=0.0)
    assert scores.macro_f1 == pytest.approx(f1, abs=1e-12)
    assert all(type(value) is float for value in (scores.nll, scores.accuracy, scores.macro_f1))


def test_more_is_better_for_every_metric() -> None:
    scores = Scores(nll=0.5, accuracy=0.75, macro_f1=0.7)
    assert [scores.value(metric) for metric in ("nll", "accuracy", "macro_f1")] == [-0.5, 0.75, 0.7]
