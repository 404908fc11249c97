"""A question of the embedded default on its way from its texts to the pool and to what an environment shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from l2a_gym.augment.config import PoolConfig
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.write_pool import write_pool
from l2a_gym.tasks.registry import make_task


def test_wrong_labels_reach_the_pool_and_an_environment_has_columns_for_their_classes(tmp_path: Path) -> None:
    task, env = make_task("hutto/nyt-64-mixed"), DistillAugEnv("hutto/nyt-64-mixed", pool="sources")
    config = Preparation(pool=PoolConfig.from_setting("sources"))
    write_pool(task, config, torch.device("cpu"), tmp_path / "pool")
    pool = Dataset.load_from_disk(str(tmp_path / "pool"))
    domain, label, flipped = (np.array(pool[name]) for name in ("domain", "label", "flipped"))
    for position, name in enumerate(env.domains[1:], start=1):
        assert label[domain == position].tolist() == task.sources[name].label.tolist()
        assert flipped[domain == position].tolist() == task.flipped[name].tolist()
    assert flipped[domain == env.domains.index("amazon")].all()  # the source that is inverted
    names = [name for name in env.columns if "=" in name]
    assert names == [
        *(f"domain={name}" for name in task.domains),
        "operator=source",
        "label=negative",
        "label=positive",
    ]
