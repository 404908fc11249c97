"""Both ways of generating make the same texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.settings import MaskedTraining
from l2a_gym.distill.encode import encode
from l2a_gym.speed.generation import Plain, generation, sample
from l2a_gym.tasks.registry import make_task

TRAINING = MaskedTraining(updates=20, adapt_updates=5, batch=16)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_generation_reports_its_figures(small: dict[str, Any]) -> None:
    figures = generation(make_task(small["task"]), small["checkpoint"], TRAINING, torch.device("cpu"), 2)
    assert list(figures) == ["generated_texts_per_second", "generate_ratio", "generate_ratio_own"]
    assert min(figures.values()) > 0


def test_one_at_a_time_makes_the_same_texts(small: dict[str, Any]) -> None:
    task, device = make_task(small["task"]), torch.device("cpu")
    lm = masked_lm_of(task, small["checkpoint"], TRAINING, 0, device)
    starts = encode(lm.tokenizer, task.train, task.max_length)
    label = torch.from_numpy(task.train.label)
    many, one = (sample(lm, starts, label, seed=3, batch=batch) for batch in (64, 1))
    plain = sample(Plain(lm), starts, label, seed=3, batch=1)
    assert many.shape == one.shape == plain.shape == starts.ids.shape
    assert (many == one).mean() > 0.99  # padding changes the last bits
    assert (plain == one).mean() > 0.9  # bfloat16 turns some draws, and what follows from them
    assert (many != starts.ids.numpy()).any(1).mean() > 0.5
    assert (many != sample(lm, starts, label, seed=4, batch=64)).any()
