"""A prepared task with a budget of labels: one split serves as dev and select, and no other label is read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.cache import SEAL, sha256_of
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import Prepared
from l2a_gym.preparation.texts import own_rows
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task(budgeted: dict[str, Any]) -> Task:
    return make_task(budgeted["task"])


@pytest.fixture(scope="module")
def prepared(task: Task, config: Preparation) -> Prepared:
    return prepare(task, config, CPU)


def test_select_has_the_rows_of_dev(prepared: Prepared, task: Task) -> None:
    rows = prepared.rows
    assert list(rows) == ["pool", "train", "dev", "select", "test"]
    assert rows["select"] == rows["dev"]
    assert rows["test"] == slice(rows["dev"].stop, rows["dev"].stop + len(task.test))
    assert len(prepared.array("tokens/ids")) == rows["test"].stop
    for name in ("train", "dev", "select", "test"):
        assert prepared.labels(rows[name]).tolist() == getattr(task, name).label.tolist()
    assert (len(task.train), len(task.dev), task.labels_used) == (32, 32, 64)


def test_no_text_stands_twice_among_the_tasks_own(task: Task) -> None:
    rows = own_rows(task)
    assert len(rows["select"]) == 0
    assert rows["test"][0] == rows["dev"][-1] + 1


def hashes(prepared: Prepared) -> dict[str, str]:
    """Of what was computed; manifest and seals hold keys of the input as well."""
    files = (path for path in prepared.folder.rglob("*") if path.is_file() and path.name not in (SEAL, "manifest.json"))
    return {str(path.relative_to(prepared.folder)): sha256_of(path) for path in files}


def test_labels_outside_of_the_budget_reach_nothing_but_the_labels_of_test(
    budgeted: dict[str, Any], config: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "task"
    shutil.copytree(Path(budgeted["task"]).parent, folder)
    file, path = folder / "films.csv", str(folder / "budget.toml")
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    task = make_task(path)
    inside = {*task.train.text, *task.dev.text}
    text, label = map(np.array, zip(*(line.split(",") for line in lines), strict=True))
    outside = np.flatnonzero([each not in inside for each in text])
    label[outside] = np.random.default_rng(0).permutation(label[outside])
    found = []
    for number, content in enumerate((lines, [f"{a},{b}" for a, b in zip(text, label, strict=True)])):
        file.write_text("\n".join([head, *content]), encoding="utf-8")
        monkeypatch.setenv("L2A_CACHE", str(tmp_path / f"cache-{number}"))
        found.append(prepare(make_task(path), config, CPU))
    one, other = map(hashes, found)
    assert {name for name in one | other if one.get(name) != other.get(name)} == {"tokens/label.npy"}
    before, after = (each.array("tokens/label") for each in found)
    changed = np.flatnonzero(before != after)
    assert len(changed) > 30
    assert changed.min() >= found[0].rows["test"].start
