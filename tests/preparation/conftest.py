"""So little training that a preparation takes a second."""

from __future__ import annotations

from typing import Any

import pytest

from l2a_gym.distill.finetune import FineTuning
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.preparation.config import Preparation


@pytest.fixture(scope="session")
def config(small: dict[str, Any]) -> Preparation:
    """How the small tasks are prepared."""
    tuning = FineTuning(updates=6, batch=16, learning_rate=1e-3, looks=3)
    general = GeneralDistillation(updates=4, batch=16, mixed=500)
    return Preparation(checkpoint=small["checkpoint"], few_shot=tuning, all_data=tuning, general=general)
