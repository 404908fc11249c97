"""Rows on disk: nothing is lost on the way, and what is no row is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.json_lines import append
from l2a_gym.experiment.rows import (
    LEVELS,
    TRUST_LEVELS,
    ClassifierFigures,
    Example,
    Failure,
    Row,
    pack,
    read_failures,
    read_rows,
    rounded,
    unpack,
)

ROOT = Path(__file__).parents[2]
TFIDF = {"test_accuracy": 0.75, "texts": 80, "labels": 32, "parameters": 900}


def test_actions_are_rounded_to_levels_and_none_is_below_zero() -> None:
    action = np.array([-1, -0.2, 0, 0.0019, 0.002, 0.5, 1, 3], dtype=np.float32)
    assert (rounded(action, 8) * LEVELS).round(4).tolist() == [0, 0, 0, 0, 1, 128, 255, 255]
    assert rounded(rounded(action, 8), 8).tolist() == rounded(action, 8).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_no_level_stands_for_is_refused(value: float) -> None:
    with pytest.raises(UserError, match="the selector's action holds values that are not finite"):
        rounded(np.array([0.5, value], dtype=np.float32), 2)


def test_trust_is_rounded_to_levels_on_both_sides_of_zero() -> None:
    action = np.array([-1, 0.5, -3, -0.002, 0, 0.2, 1], dtype=np.float32)
    found = rounded(action, 2)
    assert (found[2:] * TRUST_LEVELS).round(4).tolist() == [-127, 0, 0, 25, 127]
    assert found[[0, 2, 4, 6]].tolist() == [0, -1, 0, 1]
    assert rounded(found, 2).tolist() == found.tolist()


@pytest.mark.parametrize("candidates", [11, 5])
def test_rounded_actions_survive_packing(candidates: int) -> None:
    drawn = np.random.default_rng(0).normal(size=(7, 11)).astype(np.float32)
    actions = np.stack([rounded(action, candidates) for action in drawn])
    again = unpack(pack(actions, candidates), 11, candidates)
    assert again.dtype == np.float32
    assert np.array_equal(again, actions)


@pytest.mark.parametrize("text", ["", "no base 64!", "AAAA", pack(np.zeros((2, 4), dtype=np.float32), 4)])
def test_what_is_no_packed_action_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(text, 3, 3)


def test_a_row_survives_its_line(toy_row: Row, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    for _ in range(2):
        append(file, toy_row.as_json())
    assert [row.as_json() for row in read_rows(file)] == [toy_row.as_json()] * 2
    assert read_rows(file)[0].key == ("toy", "pgpe", 0)


def test_figures_of_classifiers_survive_their_line_and_keep_their_order(toy_row: Row, tmp_path: Path) -> None:
    names = ("few-shot teacher", "TF-IDF", "SetFit")
    row = replace(toy_row, classifiers={name: ClassifierFigures(**TFIDF) for name in names})
    append(tmp_path / "rows.jsonl", row.as_json())
    (again,) = read_rows(tmp_path / "rows.jsonl")
    assert again.classifiers == row.classifiers
    assert list(again.classifiers) == list(names)
    assert json.loads(again.as_json())["classifiers"]["TF-IDF"] == TFIDF


def test_examples_and_weight_on_wrong_labels_survive_their_line(toy_row: Row, tmp_path: Path) -> None:
    examples = (
        Example("so <b>good</b>", "positive", "books", True, 0.5),
        Example("bad", "negative", "songs", False, 0.0),
    )
    row = replace(toy_row, examples=examples, wrong_share=[0.25, 0.125])
    append(tmp_path / "rows.jsonl", row.as_json())
    assert read_rows(tmp_path / "rows.jsonl") == [row]


def test_older_rows_have_no_classifiers() -> None:
    file = ROOT / "docs" / "benchmark" / "core" / "rows.jsonl"
    lines, rows = file.read_text(encoding="utf-8").splitlines(), read_rows(file)
    assert len(rows) == len(lines) == 288
    for line, row in zip(lines, rows, strict=True):
        values = json.loads(line)
        assert (row.key, row.classifiers) == ((values["task"], values["selector"], values["seed"]), {})


def test_a_line_that_was_cut_off_is_left_out_and_overwritten(toy_row: Row, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    append(file, toy_row.as_json())
    with file.open("a", encoding="utf-8") as opened:
        opened.write(toy_row.as_json()[:100])
    assert len(read_rows(file)) == 1
    append(file, toy_row.as_json())
    assert len(read_rows(file)) == 2


def test_a_last_line_without_a_line_break_is_a_row(toy_row: Row, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [replace(toy_row, seed=seed).as_json() for seed in range(3)]
    file.write_text("\r\n".join(["\ufeff" + rows[0], "", rows[1]]), encoding="utf-8", newline="")
    assert [row.seed for row in read_rows(file)] == [0, 1]
    append(file, rows[2])
    assert [row.seed for row in read_rows(file)] == [0, 1, 2]


def test_a_row_in_another_encoding_is_named(toy_row: Row, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(toy_row.as_json() + "\n", encoding="utf-16")
    with pytest.raises(UserError, match=r"rows\.jsonl is not in UTF-8 \(.*\): save it as UTF-8"):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"reference_score": float("nan")}, "NaN is no finite number"),
        ({"reference_score": float("-inf")}, "-Infinity is no finite number"),
        ({"reference_score": "0.9"}, "reference_score: str is neither"),
        ({"seed": 1.5}, "seed: float is not"),
        ({"students": []}, "students or curve are empty"),
        ({"students": [5]}, "must be a mapping"),
        ({"students": [{"seed": 1, "score": None, "episode_return": 0, "actions": ""}]}, "score: None is neither"),
        ({"domain_share": {"books": "all"}}, "domain_share: value of key 'books'"),
        ({"operator_share": {"source": []}}, "a list of shares is empty"),
        ({"budget": 0}, "budget is 0"),
        ({"classifiers": 5}, "'int' object is not iterable"),
        ({"classifiers": {"TF-IDF": {"test_accuracy": 0.9}}}, "missing 3 required positional arguments"),
        ({"classifiers": {"TF-IDF": {**TFIDF, "labels": 1.5}}}, "labels: float is not"),
        ({"classifiers": {"TF-IDF": {**TFIDF, "texts": 0}}}, "a classifier has no test texts"),
        ({"examples": [{"text": "good"}]}, "missing 4 required positional arguments"),
        ({"wrong_share": [None]}, "wrong_share: item 0"),
        ({"note": 1}, "unexpected keyword argument 'note'"),
    ],
)
def test_a_row_of_another_shape_is_named(toy_row: Row, tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(json.loads(toy_row.as_json()) | values) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"rows\.jsonl, line 1, is no row of a benchmark \(.*{reason}"):
        read_rows(file)


def test_numbers_that_json_can_write_and_floats_cant_hold_are_named(toy_row: Row, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    for number in ("1e999", "9" * 5000, "[" * 100_000):
        file.write_text(
            toy_row.as_json().replace(f'"reference_score": {toy_row.reference_score}', f'"reference_score": {number}')
            + "\n",
            encoding="utf-8",
        )
        with pytest.raises(UserError, match=r"rows\.jsonl, line 1, is no row of a benchmark"):
            read_rows(file)


def test_failures_are_read_like_rows(tmp_path: Path) -> None:
    file, failure = tmp_path / "failures.jsonl", Failure("toy", "mine", 3, "")
    file.write_text(failure.as_json(), encoding="utf-8")
    assert read_failures(file) == [failure]
    assert failure.reason == "no reason given"
    file.write_text('{"task": 5, "selector": "mine", "seed": 3, "error": ""}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"failures\.jsonl, line 1, is no failure of a benchmark \(task: int is not"):
        read_failures(file)


@pytest.mark.parametrize("line", ["{", "[]", '{"task": "toy"}', "null"])
def test_a_line_that_is_no_row_is_named(toy_row: Row, tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{toy_row.as_json()}\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2, is no row of a benchmark"):
        read_rows(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl can't be read"):
        read_rows(tmp_path / "none.jsonl")


def test_a_failures_reason_is_its_last_line() -> None:
    failure = Failure("toy", "mine", 3, "Traceback ...\n  File ...\nValueError: no\n")
    assert failure.reason == "ValueError: no"
    assert json.loads(failure.as_json())["error"].startswith("Traceback")


def test_means_are_those_of_the_students(toy_row: Row) -> None:
    assert toy_row.score == pytest.approx(sum(student.score for student in toy_row.students) / 2)
    assert toy_row.episode_return == pytest.approx(toy_row.curve[-1].episode_return)
