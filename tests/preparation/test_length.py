"""How many tokens of a text are read where a task doesn't say it, on texts whose lengths are known."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.final import export_student
from l2a_gym.experiment.settings import Run
from l2a_gym.preparation.length import with_length
from l2a_gym.preparation.open_task import OpenTask
from l2a_gym.preparation.texts import fingerprint
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts


@pytest.fixture(scope="module")
def wide(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small checkpoint's tokenizer with a model of 1,000 positions."""
    folder = tmp_path_factory.mktemp("wide") / "teacher"
    shutil.copytree(small["checkpoint"], folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    with torch.random.fork_rng():
        BertModel(BertConfig(vocab_size=105, max_position_embeddings=1000, **shape)).save_pretrained(folder)
    return str(folder)


def texts(*tokens: int, pairs: bool = False) -> Texts:
    """Texts of so many tokens; two of them are special, or three in a pair, whose second side has four words."""
    words = [n - (3 + 4 if pairs else 2) for n in tokens]
    pair = ("good film was bad",) * len(words) if pairs else None
    return Texts(tuple("good " * n for n in words), np.arange(len(words)) % 2, pair)


def task_of(source: Sequence[int], test: int = 8, **given: int) -> Task:
    """One source; train, dev and select have two short texts each."""
    short = texts(8, 8)
    parts: dict[str, Any] = {"train": short, "dev": short, "select": short, "test": texts(test, test)}
    return Task("t", "here", ("bad", "good"), **parts, sources={"there": texts(*source)}, flipped={}, **given)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ([20] * 92 + [300] * 2, 24),  # 2 of 100 may be cut
        ([20] * 91 + [300] * 3, 304),
        ([24] * 94, 24),
        ([25] * 94, 32),
        ([8] * 94, 16),
        ([17] * 94, 24),
        ([700] * 94, 512),
    ],
)
def test_all_but_two_in_a_hundred_are_whole(wide: str, source: list[int], expected: int) -> None:
    assert with_length(task_of(source), wide).max_length == expected


def test_a_given_value_holds(wide: str) -> None:
    task = task_of([300] * 94, max_length=20)
    assert with_length(task, wide) is task


def test_the_checkpoint_has_the_last_word(small: dict[str, Any]) -> None:
    assert with_length(task_of([300] * 94), small["checkpoint"]).max_length == 32  # its positions


@pytest.mark.parametrize("split", ["train", "dev", "select"])
def test_each_split_that_may_be_seen_counts(wide: str, split: str) -> None:
    changed: dict[str, Any] = {split: texts(30, 30)}
    assert with_length(replace(task_of([8] * 40), **changed), wide).max_length == 32


def test_texts_of_test_do_not(wide: str) -> None:
    assert with_length(task_of([8] * 40, test=300), wide).max_length == 16


def test_both_sides_of_pairs_count(wide: str) -> None:
    task = task_of([8] * 4)
    parts: dict[str, Any] = {name: texts(33, 9, pairs=True) for name in ("train", "dev", "select", "test")}
    paired = replace(task, **parts, sources={"there": texts(9, 9, pairs=True)})
    assert with_length(paired, wide).max_length == 40


def test_of_many_texts_a_sample_is_enough(wide: str) -> None:
    """One in ten is long, or one in a hundred; which ones are looked at is always the same."""
    often, seldom = ([60 if i % every == 0 else 10 for i in range(12_000)] for every in (10, 100))
    assert [with_length(task_of(source), wide).max_length for source in (often, seldom, often)] == [64, 16, 64]


def test_the_log_says_what_was_chosen_and_what_it_costs(wide: str, caplog: pytest.LogCaptureFixture) -> None:
    """94 texts of 300 tokens are cut to 48 or not at all; six have 8 tokens."""
    with caplog.at_level(logging.INFO, "l2a_gym"):
        with_length(task_of([300] * 94), wide)
    ratio = (94 * 300 + 6 * 8) / (94 * 48 + 6 * 8)
    assert caplog.messages == [
        f"max_length = 304 by the data (100 % of texts are whole); an update reads {ratio:.1f} times as many "
        "tokens as at 48, and takes about that much longer"
    ]


def test_built_in_tasks_keep_their_keys() -> None:
    """So that what was prepared before stays in use."""
    expected = "7aa6c89f30552ded3f591980f86eac9b9d34bbe0c773a71d6bed9f0d7e3cf689"
    assert fingerprint(OpenTask("hutto/nyt-64").task("embedded")) == expected


# A task whose texts are long, as its user has it


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A task file that names no length; all texts have 57 to 64 tokens."""
    folder, rng = tmp_path_factory.mktemp("long"), np.random.default_rng(0)
    for name in ("here", "there"):
        rows = [
            {"text": " ".join(rng.choice(["good", "film", "bad", "was"], 55 + i % 8)), "label": ("bad", "good")[i % 2]}
            for i in range(120)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text(
        'target = "here"\nshots = 16\n[domains]\nhere = "here.jsonl"\nthere = "there.jsonl"\n'
        "[budget]\nsteps = 2\ncandidates = 16\nupdates = 2\n"
    )
    return str(folder / "task.toml")


def test_one_open_task_with_two_checkpoints(long: str, small: dict[str, Any], wide: str) -> None:
    opened = OpenTask(long)
    narrow, whole = (opened.task(checkpoint) for checkpoint in (small["checkpoint"], wide))
    assert (make_task(long).max_length, narrow.max_length, whole.max_length) == (0, 32, 64)
    assert narrow.train is whole.train
    assert opened.task(small["checkpoint"]) is narrow


def test_its_students_read_all_of_it(long: str, wide: str, tmp_path: Path) -> None:
    """Prepared, taught, exported: no stage cuts at another length."""
    run = Run(
        algo="uniform", task=long, checkpoint=wide, device="cpu", pool="sources", general_updates=0, export_steps=2
    )
    adapter, folder = DistillAdapter(run.task, run.environment), tmp_path / "student"
    export_student(run, adapter, adapter.selector("uniform"), folder)
    tokens = adapter.prepared.tokens(adapter.prepared.rows["pool"])
    assert tokens.ids.shape[1] == 64
    assert sorted(set(tokens.length.tolist())) == list(range(57, 65))
    assert adapter.prepared.student().config.max_position_embeddings == 64
    assert "texts of up to 64 tokens" in (folder / "README.md").read_text(encoding="utf-8")
    reader = AutoTokenizer.from_pretrained(folder)
    assert len(reader("a " * 1000)["input_ids"]) == 2 + 64 * 6 // 2  # six characters for each of 64 tokens
