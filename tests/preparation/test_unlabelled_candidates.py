"""Texts of the target without labels: their place in a prepared folder, who labels them, and what they serve for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.augment.config import PoolConfig
from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.policy import POLICIES
from l2a_gym.augment.settings import MaskedTraining
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import TEACHERS, Prepared
from l2a_gym.preparation.texts import own_labels, own_rows, own_texts
from l2a_gym.tasks.registry import make_task, outline
from l2a_gym.tasks.task import UNLABELLED, Task

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task(unlabelled: dict[str, Any]) -> Task:
    return make_task(unlabelled["task"])


@pytest.fixture(scope="module")
def plain(small: dict[str, Any]) -> Task:
    return make_task(small["task"])


@pytest.fixture(scope="module")
def prepared(task: Task, config: Preparation) -> Prepared:
    return prepare(task, config, CPU)


def bare_rows(task: Task) -> slice:
    """Where the texts without labels stand among the candidates."""
    sources = sum(map(len, task.sources.values()))
    return slice(sources, sources + len(task.unlabelled))


def test_own_texts_and_rows_have_one_order(task: Task) -> None:
    parts = [*task.sources.values(), task.unlabelled, task.train, task.dev, task.select, task.test]
    assert own_texts(task) == parts
    text = np.array([text for part in parts for text in part.text])
    rows = own_rows(task)
    assert list(rows) == ["sources", "unlabelled", "train", "dev", "select", "test"]
    assert np.concatenate(list(rows.values())).tolist() == list(range(len(text)))
    for name in ("unlabelled", "train", "dev", "select", "test"):
        assert tuple(text[rows[name]]) == getattr(task, name).text
    assert np.flatnonzero(own_labels(task) == UNLABELLED).tolist() == rows["unlabelled"].tolist()


def test_a_task_without_them_has_the_rows_that_it_always_had(plain: Task) -> None:
    rows = own_rows(plain)
    assert len(rows["unlabelled"]) == 0
    assert rows["train"][0] == sum(map(len, plain.sources.values()))
    assert own_texts(plain) == [*plain.sources.values(), plain.train, plain.dev, plain.select, plain.test]


def test_candidates_are_sources_then_texts_without_labels_then_copies(prepared: Prepared, task: Task) -> None:
    operators = ["source", "swap", "delete", "insert", "replace", "unlabelled"]
    assert prepared.manifest()["operators"] == operators
    assert outline(task.id).unlabelled
    pool, rows = prepared.pool(), bare_rows(task)
    assert len(task.unlabelled) == 60
    assert tuple(pool["text"][rows]) == task.unlabelled.text
    names = np.array(operators)[np.array(pool["operator"])]
    assert np.flatnonzero(names == "unlabelled").tolist() == list(range(rows.start, rows.stop))
    assert set(names[: rows.start]) == {"source"}
    assert prepared.array("tokens/label")[rows].tolist() == [UNLABELLED] * 60
    assert (prepared.array("tokens/label") == UNLABELLED).sum() == 60


@pytest.mark.parametrize("policy", POLICIES)
def test_the_all_data_teacher_labels_them_under_every_policy(task: Task, config: Preparation, policy: str) -> None:
    prepared, rows = prepare(task, replace(config, pool=PoolConfig(labels=policy)), CPU), bare_rows(task)
    likeliest = prepared.logits("all-data", prepared.rows["pool"]).argmax(1)
    label = prepared.labels(prepared.rows["pool"])
    assert label[rows].tolist() == likeliest[rows].tolist()
    assert set(label.tolist()) == {0, 1}
    assert prepared.array("signals/usable")[rows].all()
    assert not prepared.array("signals/flipped")[rows].any()
    assert label[: rows.start].tolist() == [each for texts in task.sources.values() for each in texts.label]


def test_labels_are_suspected_out_of_fold_by_the_thresholds_of_the_sources(prepared: Prepared, task: Task) -> None:
    """Of two classes: where the other one is confident, and the given one is not or is less likely."""
    pool, own = prepared.rows["pool"], own_rows(task)
    logits = prepared.logits("out-of-fold", pool)
    np.testing.assert_array_equal(logits[own["sources"]], prepared.array("out-of-fold/frozen")[own["sources"]])
    p, label = logits.softmax(1).numpy(), prepared.labels(pool).numpy()
    source = np.arange(len(label)) < len(own["sources"])
    t = np.array([p[source & (label == k), k].mean() for k in (0, 1)])
    each = np.arange(len(label))
    given, other = p[each, label], p[each, 1 - label]
    expected = (other >= t[1 - label]) & ((given < t[label]) | (other > given))
    suspected = prepared.array("signals/suspected")
    assert np.array_equal(suspected, expected)
    assert suspected[source].any()
    assert not suspected.all()


@pytest.mark.parametrize("teacher", [name for name in TEACHERS if name != "mean"])
def test_answers_on_them_are_those_of_the_teachers_own_stage(prepared: Prepared, task: Task, teacher: str) -> None:
    stage = {"frozen-few-shot": "few-shot/frozen", "frozen-all-data": "all-data/frozen"}
    own = prepared.array(
        stage.get(teacher, "cross-fitted/frozen" if teacher == "cross-fitted" else f"{teacher}/logits")
    )
    answers, rows = prepared.array(f"answers/{teacher}"), own_rows(task)
    np.testing.assert_array_equal(answers[bare_rows(task)], own[rows["unlabelled"]])
    np.testing.assert_array_equal(answers[prepared.rows["train"].start :], own[rows["train"][0] :])


def test_teachers_do_not_learn_from_them(prepared: Prepared, task: Task, plain: Task, config: Preparation) -> None:
    """Without them teachers answer the same, on all other texts.

    Batches are others, in bfloat16, and the next temperature is an eighth larger: answers are compared up to size.
    """
    without, rows = prepare(plain, config, CPU), own_rows(task)
    for name in ("few-shot/logits", "all-data/logits", "all-data/frozen", "cross-fitted/frozen", "out-of-fold/frozen"):
        others, found = np.delete(prepared.array(name), rows["unlabelled"], axis=0), without.array(name)
        np.testing.assert_allclose(others / np.abs(others).max(), found / np.abs(found).max(), atol=0.05)
    assert prepared.tokenizer().get_vocab() == without.tokenizer().get_vocab()


def test_the_targets_centre_is_the_mean_of_shots_dev_and_them(prepared: Prepared, task: Task) -> None:
    vectors = prepared.array("answers/vectors").astype(np.float64)
    parts = [bare_rows(task), prepared.rows["train"], prepared.rows["dev"]]
    goal = np.concatenate([vectors[rows] for rows in parts]).mean(0)
    pool, domain = vectors[prepared.rows["pool"]], np.array(prepared.pool()["domain"])
    source = np.array(prepared.pool()["operator"]) == 0

    def cosine(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return rows @ vector / (np.linalg.norm(rows, axis=1) * np.linalg.norm(vector))

    centre = pool.mean(0)
    expected = cosine(pool - centre, goal - centre)
    assert prepared.array("signals/similarity") == pytest.approx(expected, abs=1e-3)
    means = np.stack([pool[source & (domain == d)].mean(0) for d in (1, 2)])
    assert prepared.array("signals/distance")[1:] == pytest.approx(1 - cosine(means, goal), abs=1e-4)
    shots_and_dev = np.concatenate([vectors[rows] for rows in parts[1:]]).mean(0)
    assert np.abs(cosine(pool - centre, shots_and_dev - centre) - expected).max() > 0.01


@pytest.fixture
def word(task: Task) -> tuple[Task, str]:
    """A task of which the texts without labels alone have a word."""
    word = "camera"

    def without(name: str) -> Any:
        texts = task.sources[name] if name in task.sources else getattr(task, name)
        return texts.take([i for i, text in enumerate(texts.text) if word not in text.split()])

    sources = {name: without(name) for name in task.sources}
    assert any(word in text.split() for text in task.unlabelled.text)
    return replace(task, sources=sources, train=without("train"), dev=without("dev")), word


@pytest.mark.parametrize("conditional", [False, True])
def test_the_masked_language_model_learns_from_them_unless_it_sees_labels(
    word: tuple[Task, str], config: Preparation, conditional: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path))
    training = MaskedTraining(updates=2, adapt_updates=1, batch=16, conditional=conditional)
    known, bare = word[0], word[0].unlabelled
    for unlabelled in (bare, bare.take(range(30)), bare.take([])):
        lm = masked_lm_of(replace(known, unlabelled=unlabelled), config.checkpoint, training, 0, CPU)
        has_word = any(word[1] in text.split() for text in unlabelled.text)
        assert (word[1] in lm.tokenizer.get_vocab()) == (has_word and not conditional)
    folders = [path for path in (tmp_path / "masked-lm").iterdir() if path.is_dir()]
    assert len(folders) == (1 if conditional else 3)
