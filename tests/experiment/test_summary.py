"""The summary's arithmetic and its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from l2a_gym.experiment.adapter import DistillAdapter, ToyAdapter
from l2a_gym.experiment.rows import Row, Student
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.summary import summarise, table, table_over_seeds
from l2a_gym.preparation.store import Prepared

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


def test_the_table_shows_per_cent_and_range(
    run: Run, adapter: DistillAdapter, prepared: Prepared, rows: list[Row]
) -> None:
    lines = table(run, summarise(adapter, "similarity", rows)).splitlines()
    assert lines[0] == f"task {run.task}"
    titles = ["few shot teacher", "all data teacher", "none", "uniform", "oracle", "selector (similarity)"]
    assert [line[:22].strip() for line in lines[2:8]] == titles
    assert lines[1].split() == ["dev", "%", "test", "%", "range", "updates", "seconds"]
    assert lines[7].split()[2:] == ["70.0", "70.2", "70.0", "..", "70.3", "8", "1.5"]
    assert lines[5].split()[1:] == ["62.0", "61.3", "60.0", "..", "62.5", "8", "1.5"]
    size = prepared.manifest()["parameters"]
    assert lines[-1].startswith(f"student: {size['student']:,} parameters, ")
    assert f"{size['student'] / size['teacher']:.1%} of the teacher's" in lines[-1]
    assert len({len(line) for line in lines[1:2] + lines[4:8]}) == 1


def test_the_table_shows_the_exported_student(run: Run, adapter: DistillAdapter, rows: list[Row]) -> None:
    size = {"student": 1200, "teacher": 10_000}
    exported = {"dev_accuracy": 0.812, "test_accuracy": 0.798, "updates": 480, "parameters": size, "policy": "uniform"}
    lines = table(run, summarise(adapter, "similarity", rows) | {"exported": exported}).splitlines()
    assert lines[8].split() == ["exported", "student", "81.2", "79.8", "480"]
    assert lines[9] == "exported: 1,200 parameters, 12.0% of the teacher's, weights by uniform"


def test_the_table_over_training_seeds_shows_means_of_runs(run: Run, rows: list[Row]) -> None:
    one, two = (summarise(ToyAdapter(), algo, rows) for algo in ("similarity", "oracle"))
    lines = table_over_seeds(run, [one, two]).splitlines()
    assert lines[0] == f"task {run.task}, training seeds"
    assert lines[1].split() == ["test", "%", "range", "seeds"]
    found: dict[str, Any] = {line[:22].strip(): line[22:].split() for line in lines[2:]}
    assert list(found) == ["none", "uniform", "oracle", "selector (similarity)"]  # the toy has no teachers
    assert found["selector (similarity)"] == ["72.8", "70.2", "..", "75.5", "2"]
    assert found["uniform"] == ["61.3", "61.3", "..", "61.3", "2"]
