"""What the bench says of a small task's teachers."""

from __future__ import annotations

from typing import Any

import torch

from l2a_gym.distill.finetune import FineTuning
from l2a_gym.preparation.config import Preparation
from l2a_gym.speed.teachers import teachers
from l2a_gym.tasks.registry import make_task


def test_each_teacher_beside_its_regression(small: dict[str, Any]) -> None:
    """Without an update the teacher is its regression; seconds of learning are counted for each."""
    none = FineTuning(updates=0, batch=16, learning_rate=1e-3)
    config = Preparation(checkpoint=small["checkpoint"], few_shot=none, all_data=none)
    task = make_task(small["task"])
    figures = teachers(task, config, torch.device("cpu"))
    assert list(figures) == ["few-shot", "all-data"]
    for found in figures.values():
        assert list(found) == ["regression", "own classifier", "teacher"]
        for each in found.values():
            assert list(each) == ["dev", "test", "seconds"]
            assert 0 < each["dev"] <= 100
            assert each["seconds"] > 0
        for split in ("dev", "test"):
            text = 100 / len(getattr(task, split))  # may fall to the other side: vectors are stored in half precision
            assert abs(found["teacher"][split] - found["regression"][split]) < 1.01 * text
    assert figures["few-shot"]["regression"] != figures["all-data"]["regression"]
