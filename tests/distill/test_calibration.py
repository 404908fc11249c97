"""Temperature scaling and the calibration error, against exact values and slower ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from l2a_gym.distill.calibration import LARGEST, best_temperature, calibration_error, divide_logits
from l2a_gym.distill.checkpoint import load_teacher


def drawn(n: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, 3), and labels drawn by the probabilities that they give at the temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(n, 3, generator=generator)
    return logits, torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature: float) -> None:
    logits, label = drawn(40_000, temperature)
    found = best_temperature(logits, label)
    assert found == pytest.approx(temperature, rel=0.04)
    losses = {t: float(cross_entropy(logits.double() / t, label)) for t in (0.97 * found, found, 1.03 * found)}
    assert min(losses, key=lambda t: losses[t]) == found


def test_temperatures_are_bounded() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert best_temperature(logits, torch.tensor([0, 1])) == pytest.approx(1 / LARGEST, rel=1e-3)
    assert best_temperature(logits, torch.tensor([1, 0])) == pytest.approx(LARGEST, rel=1e-3)


def test_the_calibration_error_of_a_few_texts() -> None:
    """Two texts are in the bin of 0.8, and one of them is right; that at 0.6 is right, and that at 1 is wrong."""
    probabilities = torch.tensor([[0.81, 0.19], [0.81, 0.19], [0.4, 0.6], [1.0, 0.0]])
    label = torch.tensor([0, 1, 1, 1])
    expected = (2 * abs(0.5 - 0.81) + abs(1 - 0.6) + abs(0 - 1)) / 4
    assert calibration_error(probabilities, label) == pytest.approx(expected)
    assert calibration_error(probabilities, label, bins=1) == pytest.approx(abs(0.5 - (0.81 + 0.81 + 0.6 + 1) / 4))


def test_the_calibration_error_by_its_definition() -> None:
    logits, label = drawn(500, 2.0)
    probabilities = logits.softmax(1).double().numpy()
    confidence, right = probabilities.max(1), probabilities.argmax(1) == label.numpy()
    place = np.digitize(confidence, np.linspace(0, 1, 16)[1:-1])
    total = sum(abs(right[place == b].mean() - confidence[place == b].mean()) * (place == b).sum() for b in {*place})
    assert calibration_error(logits.softmax(1), label) == pytest.approx(total / 500, abs=1e-6)


def test_the_right_temperature_calibrates() -> None:
    logits, label = drawn(40_000, 3.0)
    assert calibration_error(logits.softmax(1), label) > 0.1
    assert calibration_error((logits / 3).softmax(1), label) < 0.01


def test_logits_are_divided_by_the_classifiers_weights(small: dict[str, Any]) -> None:
    student = load_teacher(small["checkpoint"], 2, 0)
    ids = torch.arange(5, 25).view(2, 10)
    with torch.no_grad():
        before = student(ids).logits
        divide_logits(student, 2.5)
        torch.testing.assert_close(student(ids).logits, before / 2.5)
