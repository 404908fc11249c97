"""A whole run on a tiny task and on the toy: its summary and rows, and how finished stages stand."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from transformers import AutoModelForSequenceClassification

from l2a_gym.cache import damaged, own_folder
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.compare import compare
from l2a_gym.experiment.job import Job, attempt
from l2a_gym.experiment.progress import train_selector
from l2a_gym.experiment.references import names_of
from l2a_gym.experiment.rows import Failure, Row, read_rows
from l2a_gym.experiment.run import load_run, load_selector, new_selector
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import RULES
from l2a_gym.experiment.train import evaluate_run, export_run, train, train_seeds
from l2a_gym.preparation.store import TEACHERS

PAIR = 2 * (1 + 4 * (2 + 1))  # episodes of the small task: a dev pass, then four steps of two updates and a dev pass
SPENT = [PAIR + 1, 2 * PAIR + 1]  # at the reports: the next pair has begun with its dev pass
ROWS = ["none", "uniform", *RULES, "oracle", "pgpe"]


@pytest.fixture
def run(whole_run: Run) -> Run:
    return whole_run


@pytest.fixture
def summary(whole_summary: dict[str, Any]) -> dict[str, Any]:
    return whole_summary


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(algo="pgpe", task="toy", budget=4 * 21, students=2, out=tmp_path_factory.mktemp("toys") / "toy")


@pytest.fixture(scope="module")
def toy_summary(toy: Run) -> dict[str, Any]:
    return train(toy)


def timeless(rows: Sequence[Row | Failure]) -> list[Row]:
    """Rows without their wall-clock seconds, as JSON has them."""
    assert all(isinstance(row, Row) for row in rows), rows
    return [Row.from_dict(json.loads(replace(row, seconds=0.0).as_json())) for row in rows if isinstance(row, Row)]


def job_of(run: Run, selector: str) -> Job:
    hyper = run.selector if selector == run.algo else {}
    return Job(run.task, selector, run.seed, run.budget, run.students, run.environment, hyper)


# The summary and the rows


def test_the_summary_has_the_numbers_of_the_contract(
    run: Run, summary: dict[str, Any], adapter: DistillAdapter
) -> None:
    # another test may have asked for the finished run again, which takes no time
    assert json.loads((run.folder / "summary.json").read_text()) | {"seconds": summary["seconds"]} == summary
    names = ["none", "uniform", *RULES, "oracle", "selector"]
    assert list(summary["test_accuracy"]) == list(summary["dev_accuracy"]) == names
    for name, accuracy in summary["test_accuracy"].items():
        assert set(accuracy) == {"mean", "per_seed"}
        assert accuracy["mean"] == pytest.approx(np.mean(accuracy["per_seed"]))
        assert len(accuracy["per_seed"]) == 2, name
        assert all(0 <= value <= 1 for value in accuracy["per_seed"])
    assert set(summary["parameters"]) == {"teacher", "student"}
    figures = ["dev_accuracy", "test_accuracy", "labels", "parameters", "texts_per_second"]
    for kind, names in (("teachers", TEACHERS), ("references", names_of(adapter.task))):
        assert list(summary[kind]) == list(names)
        assert all(list(each) == figures for each in summary[kind].values())
    assert summary["chosen_teacher"] == summary["exported"]["teacher"] in TEACHERS
    assert set(figures) <= set(summary["exported"])
    assert set(summary["seconds"]) == {"prepare", "train", "evaluate", "candidates", "export"}
    assert summary["updates"] == 4 * 2


def test_parameters_are_those_of_the_models(run: Run, summary: dict[str, Any], adapter: DistillAdapter) -> None:
    exported = AutoModelForSequenceClassification.from_pretrained(run.folder / "student")
    teacher = AutoModelForSequenceClassification.from_pretrained(run.checkpoint)
    sizes = [model.num_parameters() for model in (adapter.prepared.student(), teacher, exported)]
    assert [summary["parameters"]["student"], summary["parameters"]["teacher"]] == sizes[:2]
    assert summary["exported"]["parameters"] == sizes[2]


def test_a_run_and_jobs_of_a_benchmark_give_the_same_rows(run: Run, summary: dict[str, Any]) -> None:
    """The same selector, task, seed, budget and settings: whichever door is used."""
    rows = read_rows(run.folder / "rows.jsonl")
    assert [row.selector for row in rows] == ROWS
    some = ("none", "uniform", "cross-fitted-balanced", "doubt", "trust-teacher", "pgpe")
    jobs = timeless([attempt(job_of(run, name)) for name in some])
    assert jobs == timeless([row for row in rows if row.selector in some])
    learnt = rows[-1]
    assert [point.spent for point in learnt.curve] == SPENT
    assert learnt.spent == summary["spent"] == SPENT[-1]
    for row, name in zip(rows, (*ROWS[:-1], "selector"), strict=True):
        for split in ("dev", "test"):
            found = [student.metrics[f"{split}_accuracy"] for student in row.students]
            assert found == summary[f"{split}_accuracy"][name]["per_seed"]


@pytest.mark.parametrize("name", ["cma-es", "look-ahead", "ppo", "thompson"])
def test_whatever_learns_gives_the_same_row_on_the_toy(name: str, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    pytest.importorskip("cma")
    run = Run(algo=name, task="toy", budget=20 * 21, seed=2, students=2, out=tmp_path / "run")
    train(run)
    row = read_rows(run.folder / "rows.jsonl")[-1]
    assert timeless([row]) == timeless([attempt(job_of(run, name))])
    assert row.spent == json.loads((run.folder / "selector" / "progress.json").read_text())["spent"]


def test_the_budget_was_spent_and_recorded(run: Run, summary: dict[str, Any]) -> None:
    record = [json.loads(line) for line in (run.folder / "record.jsonl").read_text().splitlines()]
    assert [row["spent"] for row in record] == SPENT
    assert summary["spent"] == json.loads((run.folder / "selector" / "progress.json").read_text())["spent"]
    saved = json.loads((run.folder / "selector" / "pgpe.json").read_text())["theta"]
    assert [value for name, value in record[-1].items() if name.startswith("theta/")] == saved
    assert list((run.folder / "tensorboard").iterdir())
    assert load_run(run.folder) == run


def test_baselines_do_not_depend_on_the_selector(run: Run, summary: dict[str, Any], adapter: DistillAdapter) -> None:
    again = replace(run, algo="none")
    rows = compare(again, adapter, new_selector(again, adapter), job_of(run, "none").seeds)
    assert [row.selector for row in rows] == ["uniform", *RULES, "oracle", "none"]
    before = {row.selector: row for row in timeless(read_rows(run.folder / "rows.jsonl"))}
    assert timeless(rows) == [before[row.selector] for row in rows]


# What stands is not done again


def test_a_finished_run_is_not_trained_again(run: Run, summary: dict[str, Any], adapter: DistillAdapter) -> None:
    before = (run.folder / "record.jsonl").read_text()
    selector: Any = new_selector(run, adapter)
    assert train_selector(run, adapter, selector) == summary["spent"]
    assert (run.folder / "record.jsonl").read_text() == before
    assert np.array_equal(selector.theta, load_selector(run, adapter).theta)  # type: ignore[attr-defined]


def test_a_second_process_waits_until_the_first_has_left_the_folder(
    run: Run, summary: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "l2a_gym")
    rows = (run.folder / "rows.jsonl").read_bytes()
    with ThreadPoolExecutor() as pool:
        with FileLock(f"{run.folder}.lock"):
            second = pool.submit(train, run)
            while f"waiting for another process that works on {run.folder}" not in caplog.messages:
                assert not second.done()
        assert second.result()["test_accuracy"] == summary["test_accuracy"]
    assert (run.folder / "rows.jsonl").read_bytes() == rows  # as they were, with their seconds


def test_a_link_in_the_place_of_the_student_is_followed(run: Run, summary: dict[str, Any]) -> None:
    student, far = run.folder / "student", run.folder.parent / "far"
    student.rename(far)
    student.symlink_to(far, target_is_directory=True)
    (far / "config.json").write_text("{")
    again, before = ({**each, "texts_per_second": 0} for each in (train(run)["exported"], summary["exported"]))
    assert again == before
    assert student.is_symlink()
    assert own_folder(far)
    assert damaged(far) == []


def test_an_edited_card_stays(run: Run, summary: dict[str, Any]) -> None:
    card = run.folder / "student" / "README.md"
    before = card.read_text(encoding="utf-8")
    card.write_text("mine", encoding="utf-8")
    train(run)
    assert card.read_text(encoding="utf-8") == "mine"
    card.write_text(before, encoding="utf-8")


def test_evaluation_is_on_fresh_students(run: Run, summary: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = evaluate_run(run.folder, 1)
    fresh, first = (
        [each["test_accuracy"][name]["per_seed"] for name in ("none", "uniform", "selector")]
        for each in (evaluation, summary)
    )
    assert [len(scores) for scores in fresh] == [1, 1, 1]
    assert fresh != [scores[:1] for scores in first]
    assert json.loads((run.folder / "evaluation.json").read_text()) == evaluation
    assert evaluation["teachers"] == summary["teachers"]
    assert evaluation["verdict"]["against"]["uniform"]["low"] is None  # a single student
    out = capsys.readouterr().out
    assert "selector (pgpe)" in out
    assert evaluation["verdict"]["sentence"] in out


# The toy, from end to end


def test_a_run_on_the_toy_has_scores_and_no_student(toy: Run, toy_summary: dict[str, Any]) -> None:
    assert list(toy_summary["test_accuracy"]) == ["none", "uniform", *RULES, "oracle", "selector"]
    assert toy_summary["test_accuracy"] == toy_summary["dev_accuracy"]
    assert not {"parameters", "exported"} & set(toy_summary)
    assert not (toy.folder / "student").exists()
    with pytest.raises(UserError, match="is a run on the toy, whose students are made up: there is none to export"):
        export_run(toy.folder)
    assert evaluate_run(toy.folder, 3)["updates"] == 10


def test_a_run_on_the_toy_goes_on_where_it_stopped(toy: Run, toy_summary: dict[str, Any]) -> None:
    """A stage that is lost is done again, to the same result; with a larger budget, training goes on."""
    rows, selector = read_rows(toy.folder / "rows.jsonl"), (toy.folder / "selector" / "pgpe.json").read_bytes()
    (toy.folder / "rows.jsonl").unlink()
    train(toy)
    assert timeless(read_rows(toy.folder / "rows.jsonl")) == timeless(rows)
    assert (toy.folder / "selector" / "pgpe.json").read_bytes() == selector
    more = train(replace(toy, budget=8 * 21))
    assert (toy_summary["spent"], more["spent"]) == (4 * 21 + 1, 8 * 21 + 2)
    curve = [point.spent for point in read_rows(toy.folder / "rows.jsonl")[-1].curve]
    assert curve == sorted(set(curve))
    assert (curve[0], curve[-1]) == (2 * 21 + 1, 8 * 21 + 2)


def test_trainings_of_several_seeds_have_folders_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(algo="pgpe", task="toy", budget=2 * 21, students=2, out=tmp_path / "runs")
    summaries = train_seeds(run, (3, 5))
    lines = capsys.readouterr().out.splitlines()
    assert [load_run(run.folder / name).seed for name in ("s3", "s5")] == [3, 5]
    assert [json.loads((run.folder / name / "summary.json").read_text()) for name in ("s3", "s5")] == summaries
    means = [100 * summary["test_accuracy"]["selector"]["mean"] for summary in summaries]
    assert means[0] != means[1]
    assert "task toy, training seeds" in lines
    last = lines[-1].removeprefix("selector (pgpe)").split()
    assert last == [f"{np.mean(means):.1f}", f"{min(means):.1f}", "..", f"{max(means):.1f}", "2"]


# What is wrong is found before the folder is made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "pgpee"}, "did you mean 'pgpe'"),
        ({"selector": {"sigm": 1}}, "did you mean 'sigma'"),
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"student": "tinny"}, "did you mean 'tiny'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"task": "hutto/nyt-65"}, "did you mean 'hutto/nyt-64'"),
        ({"task": "nowhere/task.toml"}, "nowhere/task.toml"),
        ({"checkpoint": "/nowhere"}, "/nowhere"),
    ],
)
def test_no_half_written_run_is_left(run: Run, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(replace(run, **change, out=tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_what_an_export_would_replace_is_found_out_before_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "model.safetensors").write_text("of mine")
    with pytest.raises(UserError, match=r"holds student, and no config.json of a run: give another folder with --out"):
        train(replace(run, out=tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["student", "model.safetensors"]


def test_a_run_folder_that_cannot_be_made_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=rf"^{tmp_path}/file/run can't be written \(.*: make room .* name another place with --out"
    ):
        train(replace(run, out=tmp_path / "file" / "run"))
