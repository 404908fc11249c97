"""The summary's arithmetic, its table, and names in TensorBoard."""

from __future__ import annotations

import pytest

from l2a_gym.envs.episode import Scores
from l2a_gym.experiment.evaluate import Row
from l2a_gym.experiment.run import Run
from l2a_gym.experiment.summary import scalar_name, summarise, table
from l2a_gym.preparation.store import Prepared


def row(seed: int, dev: float, test: float) -> Row:
    return Row(seed, Scores(0.5, dev, dev), Scores(0.6, test, test), updates=80, seconds=seed / 2, episode_return=0.1)


ROWS = {
    "none": [row(1, 0.5, 0.4), row(2, 0.6, 0.5)],
    "uniform": [row(1, 0.61, 0.625), row(2, 0.63, 0.6)],
    "oracle": [row(1, 0.8, 0.75), row(2, 0.9, 0.76)],
    "selector": [row(1, 0.7, 0.703), row(2, 0.7, 0.7)],
}


def test_means_are_over_the_students(prepared: Prepared) -> None:
    summary = summarise(prepared, ROWS)
    assert summary["test_accuracy"]["uniform"] == {"mean": pytest.approx(0.6125), "per_seed": [0.625, 0.6]}
    assert summary["dev_accuracy"]["oracle"] == {"mean": pytest.approx(0.85), "per_seed": [0.8, 0.9]}
    assert summary["student_seconds"] == dict.fromkeys(ROWS, 0.75)
    assert summary["updates"] == 80
    assert summary["rows"]["none"][1]["test"] == {"nll": 0.6, "accuracy": 0.5, "macro_f1": 0.5}


def test_without_flips_the_oracle_is_null_and_not_in_the_table(run: Run, prepared: Prepared) -> None:
    summary = summarise(prepared, {name: each for name, each in ROWS.items() if name != "oracle"})
    assert summary["test_accuracy"]["oracle"] is None
    assert "oracle" not in table(run, summary)


def test_the_table_shows_per_cent_and_range(run: Run, prepared: Prepared) -> None:
    lines = table(run, summarise(prepared, ROWS)).splitlines()
    assert lines[0] == f"task {run.task}"
    titles = ["few shot teacher", "all data teacher", "none", "uniform", "oracle", "selector (similarity)"]
    assert [line[:22].strip() for line in lines[2:8]] == titles
    assert lines[1].split() == ["dev", "%", "test", "%", "range", "updates", "seconds"]
    assert lines[7].split()[2:] == ["70.0", "70.2", "70.0", "..", "70.3", "80", "0.8"]
    assert lines[5].split()[1:] == ["62.0", "61.3", "60.0", "..", "62.5", "80", "0.8"]
    size = prepared.manifest()["parameters"]
    assert lines[-1].startswith(f"student: {size['student']:,} parameters, ")
    assert f"{size['student'] / size['teacher']:.1%} of the teacher's" in lines[-1]
    assert len({len(line) for line in lines[1:2] + lines[4:8]}) == 1


def test_the_table_shows_the_exported_student(run: Run, prepared: Prepared) -> None:
    size = {"student": 1200, "teacher": 10_000}
    exported = {"dev_accuracy": 0.812, "test_accuracy": 0.798, "updates": 480, "parameters": size, "policy": "uniform"}
    lines = table(run, summarise(prepared, ROWS) | {"exported": exported}).splitlines()
    assert lines[8].split() == ["exported", "student", "81.2", "79.8", "480"]
    assert lines[9] == "exported: 1,200 parameters, 12.0% of the teacher's, weights by uniform"


def test_tensorboard_begins_with_how_episodes_went() -> None:
    """It sorts groups and names by their letters."""
    logged = "theta/length train/approx_kl reward arm/all dev_accuracy selected weight/films gain"
    assert sorted(map(scalar_name, logged.split())) == [
        "episode/dev_accuracy",
        "episode/gain",
        "episode/reward",
        "train/approx_kl",
        "train/arm/all",
        "train/selected",
        "train/theta/length",
        "train/weight/films",
    ]
