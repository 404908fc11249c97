"""Temperature scaling and the calibration error, against exact values and slower ways."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from l2a_gym.distill.calibration import calibration_error, divide_logits, temperature


def drawn(n: int, sureness: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, 3) that are so many times those whose probabilities labels (n,) were drawn from."""
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.normal(size=(n, 3))) * 2
    label = torch.from_numpy(np.array([rng.choice(3, p=p) for p in truth.softmax(1).numpy()]))
    return truth * sureness, label


@pytest.mark.parametrize("sureness", [0.05, 1.0, 20.0])
def test_temperature_undoes_what_logits_are_too_sure_of(sureness: float) -> None:
    assert temperature(*drawn(4000, sureness)) == pytest.approx(sureness, rel=0.1)


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
    logits, label = drawn(20_000, 3.0)
    assert calibration_error(logits.softmax(1), label) > 0.1
    assert calibration_error((logits / 3).softmax(1), label) < 0.015


def test_logits_are_divided_by_the_layers_weights() -> None:
    layer, inputs = torch.nn.Linear(4, 3), torch.randn(5, 4)
    before = layer(inputs)
    divide_logits(layer, 2.5)
    torch.testing.assert_close(layer(inputs), before / 2.5)
