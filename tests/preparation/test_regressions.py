"""Which source labels are doubted, and that the cross-fitted regressions judge no text that they have learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.distill.heads import head_input
from l2a_gym.distill.regression import fit, folds_of
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.regressions import PENALTIES, credible, write_cross_fitted, write_out_of_fold
from l2a_gym.preparation.texts import own_labels, own_rows, own_texts
from l2a_gym.tasks.task import Task, Texts

CONFIG = Preparation()


def task_of(sizes: dict[str, int], wrong: float = 0.0, seed: int = 0) -> Task:
    """A task of numbered texts in two classes by turns; a share of the source labels is wrong."""
    rng = np.random.default_rng(seed)

    def texts(name: str) -> Texts:
        n = sizes[name]
        return Texts(tuple(f"{name} {i}" for i in range(n)), np.arange(n) % 2)

    source = texts("source")
    flipped = rng.random(len(source)) < wrong
    return Task(
        id="made-up",
        target="target",
        labels=("no", "yes"),
        **{name: texts(name) for name in ("train", "dev", "select", "test")},
        sources={"source": Texts(source.text, np.where(flipped, 1 - source.label, source.label))},
        flipped={"source": flipped},
    )


SIZES = {"source": 300, "train": 20, "dev": 100, "select": 50, "test": 40}


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    return tmp_path


def write_vectors(stage: Path, task: Task, noise: float = 0.8, seed: int = 0) -> None:
    """Vectors that tell the true classes apart, as well as the noise lets them."""
    rng = np.random.default_rng(seed)
    true = np.concatenate([np.arange(len(texts)) % 2 for texts in own_texts(task)])
    vectors = noise * rng.normal(size=(len(true), 1, 8))
    vectors[:, 0, 0] += 2 * true - 1
    np.save(stage / "base" / "vectors.npy", vectors.astype(np.float16))


def believed(stage: Path, task: Task) -> Any:
    (stage / "out-of-fold").mkdir()
    write_out_of_fold(task, CONFIG, stage / "out-of-fold")
    return credible(task, own_rows(task)["sources"], stage)


def test_labels_of_clean_sources_are_all_credible(stage: Path) -> None:
    task = task_of(SIZES)
    write_vectors(stage, task)
    assert believed(stage, task).all()


def test_wrong_labels_are_doubted_where_many_are_wrong(stage: Path) -> None:
    task = task_of(SIZES, wrong=0.3)
    write_vectors(stage, task, noise=0.4)
    kept, flipped = believed(stage, task), task.flipped["source"]
    assert kept[~flipped].mean() > 0.9
    assert kept[flipped].mean() < 0.1


def written(stage: Path, task: Task, tmp_path: Path) -> dict[str, Any]:
    folder = stage / "cross-fitted"
    folder.mkdir(exist_ok=True)
    write_cross_fitted(task, CONFIG, folder)
    return {name: np.load(folder / f"{name}.npy") for name in ("frozen", "weight", "bias")}


def test_a_text_is_judged_as_if_it_had_no_label(stage: Path, tmp_path: Path) -> None:
    """Another label of one text changes what is said of others, but not what a head of the other folds says of it."""
    task = task_of({**SIZES, "source": 4})
    write_vectors(stage, task)
    rows, label = own_rows(task), torch.from_numpy(own_labels(task))
    target = np.concatenate([rows[name] for name in ("train", "dev", "select")])
    vectors = torch.from_numpy(np.load(stage / "base" / "vectors.npy")).float()
    answers, fold = written(stage, task, tmp_path)["frozen"], folds_of(label[target].numpy(), CONFIG.seed)
    learnt = target[fold != fold[25]]
    heads = [fit(head_input(vectors[learnt]), label[learnt], 2, c) for c in PENALTIES]
    found = torch.from_numpy(answers[target[25]])
    ratios = [found / head(head_input(vectors[target[25:26]]))[0] for head in heads]
    assert min(float((ratio[0] - ratio[1]).abs()) for ratio in ratios) < 1e-3  # but for the temperature
    assert (answers[rows["test"]].argmax(1) == task.test.label).mean() > 0.8


def test_sources_are_learnt_from_where_they_help(stage: Path, tmp_path: Path) -> None:
    """Few labels of the target leave room for clean sources; sources of the contrary labels are left alone."""
    sizes = {**SIZES, "train": 6, "dev": 6, "select": 4, "source": 400}
    clean, contrary = (task_of(sizes, wrong=share) for share in (0.0, 1.0))
    accuracies = []
    for task in (clean, contrary):
        write_vectors(stage, task, noise=1.0)
        answers = written(stage, task, tmp_path)["frozen"]
        accuracies.append((answers[own_rows(task)["test"]].argmax(1) == task.test.label).mean())
    assert accuracies[0] > 0.7
    assert accuracies[1] > 0.5


def test_no_label_is_read_twice_where_select_is_dev(stage: Path, tmp_path: Path) -> None:
    task = task_of(SIZES)
    task = replace(task, select=task.dev)
    write_vectors(stage, task)
    assert len(own_rows(task)["select"]) == 0
    assert len(written(stage, task, tmp_path)["frozen"]) == sum(SIZES.values()) - SIZES["select"]
