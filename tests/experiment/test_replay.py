"""Replays: honest rows are confirmed exactly, forged ones are caught."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from l2a_agents.fixed import Uniform
from l2a_agents.selector import Spaces

from l2a_gym.experiment.adapter import adapter_of
from l2a_gym.experiment.job import Job, attempt, row_of
from l2a_gym.experiment.replay import Verdict, replay
from l2a_gym.experiment.rows import Row, Student, pack, unpack
from l2a_gym.wording import printable

CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED


def test_honest_rows_are_confirmed_exactly(small_rows: list[Row], toy_row: Row) -> None:
    findings = list(replay([*small_rows, toy_row]))
    found = [(finding.verdict, finding.largest_difference, finding.note) for finding in findings]
    assert found == [(CONFIRMED, 0.0, "")] * 4
    assert str(findings[-1]) == "confirmed: pgpe on toy, seed 0: exactly"


def test_rows_from_before_classifiers_were_recorded_are_confirmed(small_rows: list[Row]) -> None:
    (finding,) = replay([replace(small_rows[0], classifiers={}, wrong_share=[], examples=())])
    assert (finding.verdict, finding.largest_difference, finding.note) == (CONFIRMED, 0.0, "")


def test_a_reference_whose_package_is_missing_is_not_compared(
    small_rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "setfit", None)  # as if it were not installed
    row = small_rows[0]
    set_fit = {"SetFit": replace(row.classifiers["TF-IDF"], test_accuracy=0.99)}
    (finding,) = replay([replace(row, classifiers={**row.classifiers, **set_fit})])
    assert (finding.verdict, finding.note) == (CONFIRMED, "SetFit can't be computed here")


class Short(Uniform):
    env_options: ClassVar[dict[str, Any]] = {"steps": 3}


def test_a_selector_that_asks_for_other_episodes_is_replayed_in_those() -> None:
    adapter, job = adapter_of("toy", {}), Job("toy", "short", seed=0, budget=100, students=2)
    selector = Short(Spaces.from_env(adapter.env(steps=3)))
    (finding,) = replay([row_of(job, adapter, selector, job.seeds, start=0.0)])
    assert finding.verdict is CONFIRMED


def test_a_selector_that_trusts_is_replayed_and_its_doubts_matter(small_job: Job, small_rows: list[Row]) -> None:
    row = attempt(replace(small_job, selector="doubt"))
    assert isinstance(row, Row), row
    (finding,) = replay([row])
    assert (finding.verdict, finding.largest_difference) == (CONFIRMED, 0.0)
    actions = unpack(row.students[1].actions, 48, 24)
    assert (actions[:, :24] == 1).all()
    assert set(actions[:, 24:].flat) == {0, 1}
    assert row.wrong_share == small_rows[0].wrong_share  # weights are those of uniform
    assert all(example.weight == 1 for example in row.examples)
    actions[:, 24:] = 0
    (finding,) = replay([forged(row, actions=pack(actions, 24))])
    assert finding.verdict is REFUTED


def forged(row: Row, **changes: Any) -> Row:
    """The row with something changed about its second student."""
    return replace(row, students=(row.students[0], replace(row.students[1], **changes)))


def forged_classifier(row: Row, name: str, **changes: Any) -> Row:
    """The row with something changed about a teacher or a reference; one that it does not have is made of TF-IDF."""
    figures = row.classifiers.get(name, row.classifiers["TF-IDF"])
    return replace(row, classifiers={**row.classifiers, name: replace(figures, **changes)})


def other_actions(student: Student, change: slice) -> str:
    actions = unpack(student.actions, 24, 24)
    actions[change] = 1 - np.round(actions[change])
    return pack(actions, 24)


@pytest.mark.parametrize(
    ("forge", "mismatch"),
    [
        (lambda row: forged(row, score=row.students[1].score + 0.01), "student 2's score is"),
        (
            lambda row: forged(row, episode_return=row.students[1].episode_return + 1e-6),
            "student 2's episode_return is",
        ),
        (lambda row: forged(row, actions=other_actions(row.students[1], slice(0, 1))), "student 2's episode_return is"),
        (
            lambda row: forged(row, actions=pack(unpack(row.students[1].actions, 24, 24)[:3], 24)),
            "goes on after the 3 recorded",
        ),
        (lambda row: forged(row, actions=pack(np.ones((5, 24), dtype=np.float32), 24)), "ends before the 5 recorded"),
        (lambda row: forged(row, actions="AAAA"), "student 2 can't be played"),
        (lambda row: forged(row, seed=row.students[0].seed), "student 2 has the seed"),
        (lambda row: replace(row, seed=row.seed + 1), "student 1 has the seed"),
        (lambda row: forged(row, metrics={**row.students[1].metrics, "dev_accuracy": 0.99}), "dev_accuracy is"),
        (lambda row: replace(row, reference_score=row.reference_score - 0.01), "reference score is"),
        (lambda row: replace(row, curve=(replace(row.curve[-1], episode_return=9.0),)), "curve's end is"),
        (lambda row: replace(row, domain_share={**row.domain_share, "films": [0.9] * 4}), "share of domains is"),
        (lambda row: forged_classifier(row, "TF-IDF", test_accuracy=0.01), "TF-IDF's test_accuracy is"),
        (lambda row: forged_classifier(row, "mean teacher", labels=1), "mean teacher's labels is"),
        (lambda row: forged_classifier(row, "static vectors", parameters=7), "static vectors's parameters is"),
        (lambda row: forged_classifier(row, "few-shot teacher", texts=10**6), "few-shot teacher's texts is"),
        (lambda row: forged_classifier(row, "Magic"), "there is no classifier Magic"),
        (lambda row: replace(row, operator_share={"source": [1.0] * 4}), "share of operators is"),
        (lambda row: replace(row, wrong_share=[0.0] * 4), "share of wrong labels is"),
        (lambda row: replace(row, wrong_share=row.wrong_share[:3]), "share of wrong labels is inf"),
        (lambda row: replace(row, examples=(replace(row.examples[0], weight=0.4), *row.examples[1:])), "examples is"),
        (
            lambda row: replace(row, examples=(replace(row.examples[0], text="so good"), *row.examples[1:])),
            "examples is inf",
        ),
    ],
)
def test_forged_rows_are_caught(small_rows: list[Row], forge: Any, mismatch: str) -> None:
    (finding,) = replay([forge(small_rows[-1])])
    assert finding.verdict is REFUTED
    assert any(mismatch in each for each in finding.mismatches), finding.mismatches
    assert str(finding).startswith("REFUTED: pgpe on ")


def test_a_tolerance_forgives_as_much_and_says_how_much(small_rows: list[Row]) -> None:
    row = forged(small_rows[0], episode_return=small_rows[0].students[1].episode_return + 1e-5)
    assert next(replay([row])).verdict is REFUTED
    finding = next(replay([row], tolerance=1e-4))
    assert finding.verdict is CONFIRMED
    assert finding.largest_difference == pytest.approx(1e-5)


@pytest.mark.parametrize(("name", "value"), [("device", "cuda:9"), ("stepps", 60)])
def test_settings_that_cant_be_used_here_refute_nothing(small_rows: list[Row], name: str, value: Any) -> None:
    row = small_rows[0]
    (finding,) = replay([replace(row, settings={**row.settings, name: value})])
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert "can't be used here: " in str(finding)


def test_other_numbers_from_other_prepared_files_refute_nothing(small_rows: list[Row]) -> None:
    row = small_rows[0]
    elsewhere = replace(row, prepared="0123456789abcdef", stages={**row.stages, "answers": "0", "student": "1"})
    (finding,) = replay([elsewhere])
    assert finding.verdict is CONFIRMED  # the same numbers hold, whatever they are from
    note = "its prepared files were others, first in the stage answers (0123456789abcdef, here "
    assert finding.note.startswith(note)
    (finding,) = replay([forged(elsewhere, score=0.01)])
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert str(finding).startswith(f"not comparable: uniform on {printable(row.task)}, seed 0: {note}")
    (finding,) = replay([forged(replace(elsewhere, stages={}), score=0.01)])
    assert finding.note.startswith("its prepared files were others (0123456789abcdef, here ")
    (finding,) = replay([forged(elsewhere, seed=row.students[0].seed)])
    assert finding.verdict is REFUTED  # which no prepared file explains


def test_the_command_confirms_and_refutes(toy_row: Row, tmp_path: Path, l2a: Any) -> None:
    def call(*rows: Row) -> tuple[int, list[str]]:
        (tmp_path / "rows.jsonl").write_text("".join(f"{row.as_json()}\n" for row in rows), encoding="utf-8")
        code, out, _ = l2a("replay", str(tmp_path / "rows.jsonl"))
        return code or 0, out.splitlines()

    honest = "confirmed: pgpe on toy, seed 0: exactly"
    assert call(toy_row) == (0, [f"1/1 {honest}", "1 of 1 rows confirmed"])
    code, lines = call(toy_row, replace(toy_row, reference_score=0.5))
    assert (code, lines[0], lines[2]) == (1, f"1/2 {honest}", "1 of 2 rows confirmed")
    assert lines[1].startswith("2/2 REFUTED: pgpe on toy, seed 0: reference score is ")


def test_the_command_tells_what_is_not_comparable_from_what_is_refuted(
    small_rows: list[Row], toy_row: Row, tmp_path: Path, l2a: Any
) -> None:
    other = forged(replace(small_rows[0], prepared="0123456789abcdef"), score=0.01)
    for rows, expected in (([other, toy_row], 3), ([other, replace(toy_row, reference_score=0.5)], 1)):
        (tmp_path / "rows.jsonl").write_text("".join(f"{row.as_json()}\n" for row in rows), encoding="utf-8")
        code, out, _ = l2a("replay", str(tmp_path / "rows.jsonl"))
        assert code == expected
        assert out.startswith("1/2 not comparable: uniform on ")
