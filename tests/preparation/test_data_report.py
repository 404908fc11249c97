"""What is said of a task's data before anything is learnt, and when."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.distill.finetune import FineTuning
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.data_report import DataReport, data_report, largest_error
from l2a_gym.tasks.fewshot import Given, few_shot_task
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import UNLABELLED, Task, Texts


def task_of(target: Texts, source: Texts, shots: int = 4) -> Task:
    domains = {"films": target, "books": source}
    return replace(few_shot_task("made-up", domains, "films", ("bad", "good"), shots=shots), max_length=48)


def texts(name: str, n: int) -> Texts:
    """Every third text is good, the others are bad."""
    return Texts(tuple(f"the {name} of {i} was" for i in range(n)), np.array([int(i % 3 == 0) for i in range(n)]))


def joined(*parts: Texts) -> Texts:
    return Texts(tuple(text for part in parts for text in part.text), np.concatenate([part.label for part in parts]))


def report_of(small: dict[str, Any], task: Task) -> DataReport:
    return data_report(task, small["checkpoint"])


def test_the_report_of_a_small_task(small: dict[str, Any]) -> None:
    """A source repeats three texts of the target, one of them with another label, and has a long one."""
    again = Texts(("The film of 1 was", "the  film of 3 was", "the film of 4 was"), np.array([0, 0, 0]))
    long = Texts(("the film and " * 30,), np.array([0]))
    report = report_of(small, task_of(texts("film", 24), joined(texts("book", 6), again, long)))
    assert report.table.splitlines() == [
        "data of made-up",
        "texts                  films  books",
        "  bad                     16      8",
        "  good                     8      2",
        "  in all                  24     10",
        "seen before, left out      0      3",
        "  with another label       0      1",
        "unknown pieces          0.0%   0.0%",
        "longer than 48 tokens   0.0%  14.3%",
        "tokens of the longest      8     92",
        "split of films                                    train   dev  select  test",
        "  texts                                               4     5       5     7",
        "  standard error of accuracy, at most, in points         22.4    22.4  18.9",
    ]
    assert report.warnings == (
        "books: 1 texts are left out that stand in the data before with another label, like 'the  film of 3 was'",
        "films is too small to tell students apart by accuracy, whose standard error is large: dev has 5 texts "
        "(± 22 points), select has 5 texts (± 22 points), test has 7 texts (± 19 points); label more of its texts, or "
        "take fewer shots",
    )
    assert str(report) == "\n".join([report.table, *(f"warning: {warning}" for warning in report.warnings)])


def test_test_texts_that_are_given_have_a_column_of_their_own(small: dict[str, Any]) -> None:
    """Two of the target's texts stand in the given test texts."""
    domains = {"films": texts("film", 24), "books": texts("book", 6)}
    test = joined(Texts(("the film of 1 was", "the film of 2 was"), np.array([0, 1])), texts("song", 10))
    task = few_shot_task("made-up", domains, "films", ("bad", "good"), shots=4, given=Given(test=test))
    lines = report_of(small, task).table.splitlines()
    assert [line.split() for line in lines[1:7]] == [
        ["texts", "films", "test", "films", "books"],
        ["bad", "7", "16", "4"],
        ["good", "5", "8", "2"],
        ["in", "all", "12", "24", "6"],
        ["seen", "before,", "left", "out", "0", "2", "0"],
        ["with", "another", "label", "0", "1", "0"],
    ]
    assert lines[-2].split() == ["texts", "4", "9", "9", "12"]


def test_texts_of_groups_that_are_held_out_are_counted(small: dict[str, Any]) -> None:
    """One of two authors of the source wrote the test texts."""
    films, books, songs = texts("film", 24), texts("book", 6), texts("song", 10)
    domains = {"films": replace(films, group=("",) * 24), "books": replace(books, group=tuple("abbbba"))}
    test = replace(songs, group=("a", *[""] * 9))
    report = report_of(
        small, few_shot_task("made-up", domains, "films", ("bad", "good"), shots=4, given=Given(test=test))
    )
    assert report.table.splitlines()[7].split() == ["group", "held", "out,", "left", "out", "0", "0", "2"]


def test_texts_without_labels_are_counted(small: dict[str, Any]) -> None:
    domains = {"films": texts("film", 24), "books": texts("book", 6)}
    bare = replace(texts("song", 11), label=np.full(11, UNLABELLED))
    task = few_shot_task("made-up", domains, "films", ("bad", "good"), shots=4, given=Given(unlabelled=bare))
    lines = report_of(small, task).table.splitlines()
    assert [line.split() for line in lines[1:7]] == [
        ["texts", "films", "films", "unlabelled", "books"],
        ["bad", "16", "0", "4"],
        ["good", "8", "0", "2"],
        ["in", "all", "24", "11", "6"],
        ["seen", "before,", "left", "out", "0", "0", "0"],
        ["with", "another", "label", "0", "0", "0"],
    ]


def test_a_select_that_is_dev_is_not_counted_twice(small: dict[str, Any], budgeted: dict[str, Any]) -> None:
    report = report_of(small, make_task(budgeted["task"]))
    assert report.table.splitlines()[-3:] == [
        "split of films                                    train  dev  test",
        "  texts                                              32   32    96",
        "  standard error of accuracy, at most, in points         8.8   5.1",
    ]
    assert "dev has 32 texts (± 9 points), test has 96 texts" in report.warnings[-1]


def test_shots_that_leave_almost_nothing(small: dict[str, Any]) -> None:
    report = report_of(small, task_of(texts("film", 700), texts("book", 9), shots=690))
    (warning,) = report.warnings
    assert "dev has 2 texts (± 35 points), select has 2 texts (± 35 points), test has 6 texts (± 20 points)" in warning


def test_nothing_to_warn_of(small: dict[str, Any]) -> None:
    assert report_of(small, task_of(texts("film", 404), texts("book", 9))).warnings == ()
    assert (largest_error(100), largest_error(400)) == (0.05, 0.025)


def test_words_that_the_vocabulary_cannot_spell(small: dict[str, Any]) -> None:
    """Nine in ten pieces of the source are unknown, and none of the target."""
    foreign = Texts(
        tuple("\u623f\u95f4\u5f88\u5e72\u51c0\u623f\u95f4\u5f88\u5e72" + c for c in "abc"), np.array([0, 1, 0])
    )
    target = Texts(tuple(f"{text} good" for text in texts("film", 404).text), texts("film", 404).label)
    (warning,) = report_of(small, task_of(target, foreign)).warnings
    assert warning.startswith(f"the vocabulary of {small['checkpoint']!r} can't spell the words of these texts ")
    assert warning.endswith("(unknown pieces: 90% of books): choose a checkpoint that was trained in their language")


def test_a_new_preparation_reports_and_an_old_one_is_silent(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Texts without spaces and of unknown characters: both warnings, and one of what their edits give."""
    monkeypatch.setenv("L2A_CACHE", str(tmp_path))
    characters = [chr(0x4E00 + i) for i in range(40)]
    target, source = (Texts(tuple(c + end for c in characters), np.arange(40) % 2) for end in "\u4eba\u5927")
    task = replace(task_of(target, source, shots=8), max_length=32)
    tuning = FineTuning(updates=2, batch=8, learning_rate=1e-3, looks=2)
    general = GeneralDistillation(updates=1, batch=8)
    config = Preparation(small["checkpoint"], few_shot=tuning, all_data=tuning, general=general)
    with caplog.at_level(logging.INFO, "l2a_gym"):
        prepare(task, config, torch.device("cpu"))
    own = [record for record in caplog.records if record.name.startswith("l2a_gym")]
    warnings = [record.getMessage() for record in own if record.levelno == logging.WARNING]
    assert warnings[:2] == list(report_of(small, task).warnings)
    assert warnings[2:] == [
        "swap, delete, insert, replace made no new text: edits need spaces between words that the checkpoint knows; "
        "choose a checkpoint that was trained in the language of the texts, or pool = 'sources'"
    ]
    messages = [record.getMessage() for record in own]
    table = report_of(small, task).table.splitlines()
    begin = messages.index(table[0])
    assert messages[begin : begin + len(table)] == table
    assert begin < next(i for i, m in enumerate(messages) if "preparing" in m)
    caplog.clear()
    with caplog.at_level(logging.INFO, "l2a_gym"):
        prepare(task, config, torch.device("cpu"))
    assert caplog.records == []
