"""A finished run's student gets ONNX files: what the table and the card say of them is what its users find."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import pipeline

from l2a_gym.cache import damaged
from l2a_gym.distill.calibration import calibration_error
from l2a_gym.distill.onnx import FLOAT32, INT8, load_onnx
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.exported import SAME, WEIGHTS
from l2a_gym.experiment.final import best_student
from l2a_gym.experiment.run import load_selector
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.train import export_run
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.registry import make_task

CardSays = Callable[[Path, Sequence[Any]], list[str]]


@pytest.fixture(scope="module")
def run(whole_run: Run, whole_summary: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy of the run."""
    folder = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(whole_run.folder, folder)
    return replace(whole_run, out=folder)


@pytest.fixture(scope="module")
def scores(run: Run) -> dict[str, Any]:
    export_run(run.folder, onnx=True)
    return json.loads((run.folder / "exported.json").read_text())


def test_a_student_that_stands_is_not_trained_again(
    whole_run: Run, whole_summary: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole_run.folder, folder)
    (folder / "student" / "README.md").write_text("# My own words\n")
    before = (folder / "exported.json").stat().st_mtime_ns
    assert export_run(folder) == folder / "student"
    assert (folder / "exported.json").stat().st_mtime_ns == before
    assert f"test accuracy {whole_summary['exported']['test_accuracy']:.4f}" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"README.md in it was changed: give a new folder"):
        export_run(folder, onnx=True)
    assert (folder / "student" / "README.md").read_text() == "# My own words\n"


def test_onnx_files_are_added_to_the_same_student(run: Run, whole_run: Run, scores: dict[str, Any]) -> None:
    student = run.folder / "student"
    assert damaged(student) == []
    one, two = (load_file(folder / "student" / WEIGHTS) for folder in (run.folder, whole_run.folder))
    assert all(torch.equal(one[name], two[name]) for name in two)
    assert {FLOAT32, INT8} <= set(scores["files"])
    assert [*scores["formats"]] == [WEIGHTS, FLOAT32, INT8]


def test_figures_are_what_users_find(run: Run, scores: dict[str, Any]) -> None:
    """PyTorch's labels, one text at a time, are those of the ONNX files in batches."""
    test, labels = make_task(run.task).test, make_task(run.task).labels
    classify = pipeline("text-classification", str(run.folder / "student"), device="cpu")
    expected = np.array([labels.index(classify(text)[0]["label"]) for text in test.text])
    for name, figures in scores["formats"].items():
        found = expected if name == WEIGHTS else load_onnx(run.folder / "student", name)(test.text).argmax(1)
        assert figures["test_accuracy"] == pytest.approx((found == test.label).mean())
        assert figures["same_labels"] == pytest.approx((found == expected).mean())
        tie = 1 / len(test) if name == INT8 else 0  # a student of two steps leaves a text in the middle
        assert figures["same_labels"] >= SAME.get(name, 1.0) - tie
        assert figures["megabytes"] == (run.folder / "student" / name).stat().st_size / 1e6
        assert figures["texts_per_second"] > 0
    card = (run.folder / "student" / "README.md").read_text()
    assert f"| {WEIGHTS} | {scores['formats'][WEIGHTS]['megabytes']:.1f} | " in card
    assert "- onnx\n" in card


def test_the_cards_lines_need_neither_torch_nor_this_package(
    run: Run, scores: dict[str, Any], card_says: CardSays
) -> None:
    texts = [*make_task(run.task).test.text[:20], "the film was good " * 99, "[SEP][PAD] " * 99]
    logits = load_onnx(run.folder / "student", INT8)(texts)
    labels = make_task(run.task).labels
    assert card_says(run.folder / "student", texts) == [labels[code] for code in logits.argmax(1)]


def test_the_temperature_is_that_of_a_student_that_has_not_learnt_from_dev(
    run: Run, scores: dict[str, Any], adapter: DistillAdapter, prepared: Prepared
) -> None:
    env, held_out = best_student(run, adapter, load_selector(run, adapter))
    dev = prepared.labelled(prepared.rows["dev"])
    logits = env.predict(dev.tokens)
    losses = [
        float(cross_entropy(logits / t, dev.label)) for t in (held_out["temperature"], *np.geomspace(0.05, 20, 99))
    ]
    assert losses[0] == pytest.approx(min(losses), rel=2e-3)
    assert scores["temperature"] == held_out["temperature"] != 1


def test_calibration_errors_are_those_of_the_folders_probabilities(run: Run, scores: dict[str, Any]) -> None:
    task = make_task(run.task)
    classify = pipeline("text-classification", str(run.folder / "student"), device="cpu", top_k=None)
    answers = [{each["label"]: each["score"] for each in answer} for answer in classify(list(task.test.text))]
    probabilities = torch.tensor([[answer[label] for label in task.labels] for answer in answers])
    label = torch.from_numpy(task.test.label)
    found = scores["calibration_error"]
    assert found["after"] == pytest.approx(calibration_error(probabilities, label), abs=1e-4)
    before = (probabilities.double().log() * scores["temperature"]).softmax(1)
    assert found["before"] == pytest.approx(calibration_error(before, label), abs=1e-4)
