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
        ({"hidden": -0.1}, "hidden = -0.1: valid are numbers from 0 to 1e+06"),
        ({"patience": float("nan")}, "patience = nan: valid are numbers from 0 to 1e+06"),
        ({"relation": "1"}, "relation = 1: valid are numbers from 0 to 1e+06"),
        ({"layer_map": "lats"}, "unknown layer_map 'lats': did you mean 'last'? valid are uniform, skip, last"),
        ({"attention_loss": "klm"}, "unknown attention_loss 'klm': did you mean 'kl'? valid are mse, kl"),
        ({"frozen_embeddings": 1}, "frozen_embeddings = 1: valid are True and False"),
    ],
)
def test_values_that_are_not_valid(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Distillation(**values)
    assert str(caught.value).startswith(message)


def test_values_that_are_valid() -> None:
    config = Distillation(hidden=1, relation=float(np.float32(0.5)), layer_map="skip", attention_loss="kl")
    assert config.extra == {"hidden": 1, "relation": 0.5}
    assert (config.layer_map, config.attention_loss) == ("skip", "kl")
    assert Distillation().extra == {}
