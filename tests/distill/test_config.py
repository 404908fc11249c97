"""The values of a distillation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from l2a_gym.distill.config import Distillation
from l2a_gym.errors import UserError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha": -0.1}, "alpha = -0.1: valid are numbers from 0 to 1"),
        ({"clip": float("nan")}, "clip = nan: valid are numbers from 1e-06 to 1e+06"),
        ({"weight_decay": "1"}, "weight_decay = 1: valid are numbers from 0 to 1"),
        ({"anchors": 4.5}, "anchors = 4.5: valid are whole numbers"),
        ({"frozen_embeddings": 1}, "frozen_embeddings = 1: valid are True and False"),
    ],
)
def test_values_that_are_not_valid(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Distillation(**values)
    assert str(caught.value).startswith(message)


def test_values_that_are_valid() -> None:
    config = Distillation(alpha=1, learning_rate=np.float32(0.5), frozen_embeddings=True)
    assert (config.alpha, config.learning_rate, config.frozen_embeddings) == (1, 0.5, True)
