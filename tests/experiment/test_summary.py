"""The summary's arithmetic and its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from l2a_agents.registry import selector_class

from l2a_gym.experiment.adapter import DistillAdapter, ToyAdapter
from l2a_gym.experiment.references import names_of
from l2a_gym.experiment.report.statistics import standard_error
from l2a_gym.experiment.rows import Row, Student
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.summary import summarise, table, table_over_seeds
from l2a_gym.preparation.store import TEACHERS, Prepared

ACCURACIES = {  # on dev and test, of two students
    "none": ((0.5, 0.4), (0.6, 0.5)),
    "uniform": ((0.61, 0.625), (0.63, 0.6)),
    "oracle": ((0.8, 0.75), (0.9, 0.76)),
    "similarity": ((0.7, 0.703), (0.7, 0.7)),
}


@pytest.fixture
def rows(make_row: Callable[..., Row]) -> list[Row]:
    def student(dev: float, test: float) -> Student:
        return Student(0, test, 0.1, "", {"dev_accuracy": dev, "test_accuracy": test})

    return [
        make_row("small", name, 3, 0.5, students=tuple(student(*each) for each in pairs), seconds=1.5)
        for name, pairs in ACCURACIES.items()
    ]


def test_means_are_over_the_students(adapter: DistillAdapter, rows: list[Row]) -> None:
    summary = summarise(adapter, "similarity", rows)
    assert summary["test_accuracy"]["uniform"] == {"mean": pytest.approx(0.6125), "per_seed": [0.625, 0.6]}
    assert summary["dev_accuracy"]["oracle"] == {"mean": pytest.approx(0.85), "per_seed": [0.8, 0.9]}
    assert summary["row_seconds"] == dict.fromkeys(("none", "uniform", "oracle", "selector"), 1.5)
    assert summary["updates"] == 4 * 2


def test_labels_count_what_the_students_teacher_has_read(adapter: DistillAdapter, rows: list[Row]) -> None:
    taught = [replace(row, settings={"teacher": "mean"}) for row in rows]
    assert summarise(adapter, "similarity", taught)["labels"]["uniform"] == adapter.task.labels_used
    own = len(adapter.task.train) + len(adapter.task.dev)
    assert summarise(adapter, "similarity", rows)["labels"]["uniform"] == own < adapter.task.labels_used


def test_a_baseline_that_is_trained_stands_in_both_lines(adapter: DistillAdapter, rows: list[Row]) -> None:
    accuracies = summarise(adapter, "uniform", rows)["test_accuracy"]
    assert accuracies["selector"] == accuracies["uniform"]


def test_without_flips_the_oracle_is_null_and_not_in_the_table(
    run: Run, adapter: DistillAdapter, rows: list[Row]
) -> None:
    summary = summarise(adapter, "similarity", [row for row in rows if row.selector != "oracle"])
    assert summary["test_accuracy"]["oracle"] is None
    assert "oracle" not in table(run, summary)
    assert "oracle" not in table_over_seeds(run, [summary])


def cells(line: str) -> list[str]:
    return [cell for cell in line[40:].replace(" ± ", "±").split() if cell != ".."]


def test_the_table_shows_per_cent_errors_and_range(
    run: Run, adapter: DistillAdapter, prepared: Prepared, rows: list[Row]
) -> None:
    summary = summarise(adapter, "similarity", rows)
    lines = table(run, summary).splitlines()
    assert lines[0] == f"task {run.task}"
    titles = [
        *(f"{name} teacher" for name in TEACHERS),
        *names_of(adapter.task),
        *("none", "uniform", "oracle", "selector (similarity)"),
    ]
    assert [line[:40].strip() for line in lines[2 : 2 + len(titles)]] == titles
    assert lines[1].split() == ["dev", "%", "test", "%", "range", "labels", "parameters", "texts/s"]
    size, labels = prepared.manifest()["parameters"], len(adapter.task.train) + len(adapter.task.dev)
    errors = [100 * standard_error(p, len(adapter.task.test)) for p in (0.6125, 0.7015)]
    uniform, selector = (lines[2 + titles.index(name)] for name in ("uniform", "selector (similarity)"))
    assert cells(uniform)[1:] == [f"61.3±{errors[0]:.1f}", "60.0", "62.5", str(labels), f"{size['student']:,}"]
    assert cells(selector)[1:4] == [f"70.2±{errors[1]:.1f}", "70.0", "70.3"]
    teacher = summary["teachers"]["few-shot"]
    assert cells(lines[2])[2:4] == [str(labels), f"{teacher['parameters']:,}"]
    assert lines[-1] == "8 updates a student; seconds: none 1.5, uniform 1.5, oracle 1.5, selector 1.5"
    assert lines[-2].startswith(f"student: {size['student']:,} parameters, ")
    assert f"{size['student'] / size['teacher']:.1%} of the teacher's" in lines[-2]


def test_what_looks_at_the_cross_fitted_teacher_has_read_select_too(
    run: Run, adapter: DistillAdapter, make_row: Callable[..., Row], rows: list[Row]
) -> None:
    rule, learner = (
        make_row("small", name, 3, 0.5, students=rows[0].students, options=dict(selector_class(name).env_options))
        for name in ("cross-fitted-agrees", "pgpe@shuffled")
    )
    run = replace(run, algo="pgpe@shuffled")
    summary = summarise(adapter, "pgpe@shuffled", [*rows, rule, learner])
    found = {line[:40].strip(): cells(line) for line in table(run, summary).splitlines() if line[40:].strip()}
    shots_and_dev = len(adapter.task.train) + len(adapter.task.dev)
    assert str(shots_and_dev) in found["uniform"]
    for name in ("cross-fitted-agrees", "selector (pgpe@shuffled)"):
        assert str(shots_and_dev + len(adapter.task.select)) in found[name]


def test_the_table_shows_the_exported_student(run: Run, adapter: DistillAdapter, rows: list[Row]) -> None:
    summary = summarise(adapter, "similarity", rows)
    exported = {
        **{"dev_accuracy": 0.812, "test_accuracy": 0.798, "updates": 480, "parameters": 1200, "labels": 99},
        **{"policy": "uniform", "teacher": "mean", "texts_per_second": 1234.5},
        "long": {
            name: {"dev_accuracy": accuracy, "test_accuracy": accuracy, "labels": 99, "parameters": 1100}
            for name, accuracy in {"similarity": 0.75, "uniform": 0.78}.items()
        },
        **{"temperature": 0.8, "calibration_error": {"before": 0.0512, "after": 0.0208}},
        "formats": {
            "onnx/model.onnx": {
                **{"megabytes": 3.36, "texts_per_second": 2345.6, "test_accuracy": 0.799, "same_labels": 0.9971}
            }
        },
    }
    whole = summary["parameters"]["teacher"]
    lines = table(run, summary | {"exported": exported}).splitlines()
    assert lines[-6].startswith("exported student ")
    assert cells(lines[-6])[2:] == ["99", "1,200", "1,234"]
    assert [line.partition("  ")[0] for line in lines[-8:-6]] == ["long schedule, similarity", "long schedule, uniform"]
    share = f"{1200 / whole:.1%} of the teacher's"
    assert lines[-5] == f"exported: 1,200 parameters, {share}, weights by uniform, taught by the mean teacher"
    error = "expected calibration error on test 5.1 % before, 2.1 % after"
    assert lines[-4] == f"calibrated with temperature 0.80: {error}"
    assert lines[-3] == "onnx/model.onnx: 3.4 MB, 2,346 texts/s, test accuracy 79.9 %, 99.71 % same labels"


@pytest.mark.parametrize(("accuracy", "texts", "error"), [(0.5, 100, 0.05), (0.9, 400, 0.015), (1.0, 98, 0.0100)])
def test_standard_errors(accuracy: float, texts: int, error: float) -> None:
    assert standard_error(accuracy, texts) == pytest.approx(error, rel=0.01)


def test_the_table_over_training_seeds_shows_means_of_runs(run: Run, rows: list[Row]) -> None:
    one, two = (summarise(ToyAdapter(), algo, rows) for algo in ("similarity", "oracle"))
    lines = table_over_seeds(run, [one, two]).splitlines()
    assert lines[0] == f"task {run.task}, training seeds"
    assert lines[1].split() == ["test", "%", "range", "seeds"]
    found: dict[str, Any] = {line[:40].strip(): line[40:].split() for line in lines[2:]}
    assert list(found) == ["none", "uniform", "oracle", "selector (similarity)"]  # the toy has no teachers
    assert found["selector (similarity)"] == ["72.8", "70.2", "..", "75.5", "2"]
    assert found["uniform"] == ["61.3", "61.3", "..", "61.3", "2"]
