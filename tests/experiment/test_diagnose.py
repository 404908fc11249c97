"""The generator's diagnostics against plain computation, and the files that they write."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from math import exp, isnan, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from l2a_gym.augment.config import LEXICAL, PoolConfig
from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.masked_lm import MaskedLM, masked_perplexity
from l2a_gym.augment.settings import ChainConfig, MaskedTraining
from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.encode import encode
from l2a_gym.distill.finetune import FineTuning
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.errors import UserError
from l2a_gym.experiment.diagnose import (
    EDA,
    MASKINGS,
    SELECT,
    SHOTS,
    SOURCES,
    Judges,
    Row,
    Sample,
    diagnose,
    distinct,
    load_judges,
    mean_interval,
    measure,
    references,
    walk_from,
)
from l2a_gym.experiment.diagnosis import make_folder, write
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts

CPU = torch.device("cpu")
N, SWEEPS = 24, 2


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2A_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def config(small: dict[str, Any]) -> Preparation:
    tuning = FineTuning(updates=6, batch=16, learning_rate=1e-3, looks=3)
    return Preparation(
        checkpoint=small["checkpoint"],
        pool=PoolConfig(masked_lm=MaskedTraining(updates=20, adapt_updates=5, batch=16)),
        few_shot=tuning,
        all_data=tuning,
        general=GeneralDistillation(updates=4, batch=16),
    )


@pytest.fixture(scope="module")
def task(small: dict[str, Any]) -> Task:
    return make_task(small["task"])


@pytest.fixture(scope="module")
def prepared(task: Task, config: Preparation) -> Prepared:
    return prepare(task, config, CPU)


@pytest.fixture(scope="module")
def lm(task: Task, config: Preparation) -> MaskedLM:
    return masked_lm_of(task, config.checkpoint, config.pool.masked_lm, config.seed, CPU)


@pytest.fixture(scope="module")
def judges(task: Task, prepared: Prepared, config: Preparation, lm: MaskedLM) -> Judges:
    return load_judges(task, prepared, config, lm, np.arange(0, 60, 2))


@pytest.fixture(scope="module")
def written(small: dict[str, Any], config: Preparation, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("out") / "new"
    rows = diagnose(small["task"], config, "cpu", N, SWEEPS, 0)
    make_folder(out)
    write(rows, small["task"], out)
    return rows, out


# Measures


def test_distinct_counts_different_words_and_bigrams() -> None:
    texts = ["A b a", "a c", "b"]
    assert distinct(texts, 1) == 3 / 6
    assert distinct(texts, 2) == 3 / 3  # a b, b a, a c; none across texts
    assert distinct(["a b", "a b"], 2) == 1 / 2
    assert isnan(distinct(["a", ""], 2))


def test_distinct_does_not_depend_on_how_punctuation_is_spaced() -> None:
    assert distinct(["Don't, don't!"], 1) == distinct(["don ' t , don ' t !"], 1) == 5 / 8


def test_the_interval_is_that_of_starts_not_of_texts() -> None:
    rng = np.random.default_rng
    values = rng(0).normal(3, 1, 400)
    mean, low, high = mean_interval(values, np.arange(400), rng(1))
    assert mean == values.mean()
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 400**0.5, rel=0.1)
    assert (low + high) / 2 == pytest.approx(mean, abs=0.02)
    four = np.repeat(values, 4), np.repeat(np.arange(400), 4)
    assert mean_interval(*four, rng(1)) == pytest.approx((mean, low, high))
    assert mean_interval(np.ones(9), np.arange(9) // 2, rng(0)) == (1, 1, 1)


def test_log_odds_are_those_of_a_classifier_of_dev_and_the_given_sources(
    task: Task, prepared: Prepared, config: Preparation, judges: Judges
) -> None:
    """One text at a time, with the whole vocabulary."""
    base = load_teacher(config.checkpoint, 2, config.seed).base_model.eval()

    def vectors(texts: Texts) -> Any:
        with torch.no_grad():
            ids = [encode(judges.lm.tokenizer, texts.take([i]), task.max_length).inputs() for i in range(len(texts))]
            return np.stack([base(**each).last_hidden_state[0].mean(0).numpy() for each in ids])

    pool = prepared.pool()
    sources = Texts(tuple(pool["text"][i] for i in range(0, 60, 2)), np.zeros(30, dtype=np.int64))
    fitted = LogisticRegression(class_weight="balanced", max_iter=1000)
    fitted.fit(np.concatenate([vectors(task.dev), vectors(sources)]), np.arange(len(task.dev) + 30) < len(task.dev))
    expected = vectors(task.select) @ fitted.coef_[0] + fitted.intercept_[0]
    assert judges.log_odds(task.select) == pytest.approx(expected, abs=0.02)  # the stored vectors are float16


def test_a_row_by_plain_computation(task: Task, prepared: Prepared, judges: Judges) -> None:
    shots = Texts(task.train.text, 1 - task.train.label)
    sample = Sample(SHOTS, 3, shots, np.arange(16))
    row = measure(judges, sample, seed=5)
    likeliest = prepared.logits("all-data", prepared.rows["train"]).argmax(1).numpy()
    assert (row.origin, row.sweeps, row.texts) == (SHOTS, 3, 16)
    assert row.labels_kept == np.mean(likeliest != task.train.label)
    assert row.labels_kept_low <= row.labels_kept <= row.labels_kept_high
    assert row.log_odds == pytest.approx(np.mean(judges.log_odds(shots)))
    assert row.log_odds_low < row.log_odds < row.log_odds_high
    words = [word for text in shots.text for word in text.split()]
    assert row.distinct_1 == len(set(words)) / len(words)
    tokens = encode(judges.lm.tokenizer, shots, task.max_length)
    nll = [log(masked_perplexity(judges.lm, tokens, 5 + i)) for i in range(MASKINGS)]
    assert row.perplexity == pytest.approx(exp(np.mean(nll)))


def test_labels_that_may_not_be_looked_at_change_nothing(task: Task, judges: Judges) -> None:
    sample = Sample(SELECT, 0, task.select, np.arange(len(task.select)), labelled=False)
    other = replace(sample, texts=Texts(task.select.text, 1 - task.select.label))
    row = measure(judges, sample, seed=0)
    assert all(isnan(value) for value in (row.labels_kept, row.labels_kept_low, row.labels_kept_high))
    assert repr(row) == repr(measure(judges, other, seed=0))


# Samples


def test_walks_begin_with_their_starts_and_leave_them(task: Task, lm: MaskedLM) -> None:
    chain = ChainConfig(burn_in=0, thinning=1, keep=3)
    samples = walk_from(SHOTS, task.train, lm, task.max_length, chain, 24, np.random.default_rng(0))
    assert [sample.sweeps for sample in samples] == [0, 1, 2]
    start = samples[0].start
    assert len(start) == 24
    assert np.unique(np.bincount(start, minlength=16)).tolist() == [1, 2]
    assert samples[0].texts.text == task.train.take(start).text
    for sample in samples:
        assert sample.start.tolist() == start.tolist()
        assert sample.texts.label.tolist() == task.train.label[start].tolist()
    changed = [np.mean([a != b for a, b in zip(s.texts.text, samples[0].texts.text, strict=True)]) for s in samples]
    assert 0.5 < changed[1] <= changed[2]


def test_walks_from_pairs_keep_both_sides(task: Task, lm: MaskedLM) -> None:
    pairs = Texts(task.train.text, task.train.label, tuple(reversed(task.train.text)))
    chain = ChainConfig(burn_in=0, thinning=1, keep=2)
    first, last = walk_from(SHOTS, pairs, lm, 32, chain, 16, np.random.default_rng(0))
    assert (first.texts.text, first.texts.pair) == (pairs.text, pairs.pair)
    assert last.texts.pair is not None
    assert last.texts.pair != pairs.pair


def test_references_are_select_and_edited_shots(task: Task, prepared: Prepared) -> None:
    select, edited = references(task, prepared, 20, np.random.default_rng(0))
    assert (select.origin, select.labelled, len(select.texts)) == (SELECT, False, 20)
    assert set(select.texts.text) < set(task.select.text)
    pool = prepared.pool()
    made = {text for text, operator in zip(pool["text"], pool["operator"], strict=True) if operator > 0}
    assert (edited.origin, edited.labelled, len(edited.texts)) == (EDA, True, 20)
    assert set(edited.texts.text) < made
    assert edited.texts.label.tolist() == task.train.label[edited.start].tolist()


# The command


def test_the_rows_are_both_walks_then_the_references(written: tuple[list[Row], Path]) -> None:
    rows, _ = written
    walked = [(origin, sweeps) for origin in (SHOTS, SOURCES) for sweeps in range(SWEEPS + 1)]
    assert [(row.origin, row.sweeps) for row in rows] == [*walked, (SELECT, 0), (EDA, 0)]
    assert {row.texts for row in rows} == {N}
    numbers = [value for row in rows if row.origin != SELECT for value in vars(row).values() if value != row.origin]
    assert np.isfinite(numbers).all()


@pytest.mark.parametrize("kind", ["small", "unlabelled"])
def test_no_walk_starts_from_a_text_that_the_classifier_of_domains_saw(
    request: pytest.FixtureRequest, task: Task, config: Preparation, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def judges_of(task: Task, prepared: Prepared, config: Preparation, lm: MaskedLM, sources: Any) -> Judges:
        seen["fitted"] = {prepared.pool()["text"][i] for i in sources.tolist()}
        return load_judges(task, prepared, config, lm, sources)

    def walks(origin: str, starts: Texts, *rest: Any, **options: Any) -> list[Sample]:
        seen[origin] = set(starts.text)
        return walk_from(origin, starts, *rest, **options)

    monkeypatch.setattr("l2a_gym.experiment.diagnose.load_judges", judges_of)
    monkeypatch.setattr("l2a_gym.experiment.diagnose.walk_from", walks)
    rows = diagnose(request.getfixturevalue(kind)["task"], config, "cpu", N, 1, 0)
    assert all(0 <= row.labels_kept <= 1 for row in rows if row.origin != SELECT)
    assert len(seen[SOURCES]) == N
    assert not seen[SOURCES] & seen["fitted"]
    assert seen[SOURCES] | seen["fitted"] == {text for part in task.sources.values() for text in part.text}
    assert seen[SHOTS] == set(task.train.text)


def test_the_files(written: tuple[list[Row], Path], task: Task) -> None:
    rows, out = written
    assert sorted(file.name for file in out.iterdir()) == ["generator.csv", "generator.md", "generator.png"]
    assert (out / "generator.png").read_bytes().startswith(b"\x89PNG")
    with (out / "generator.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == [field.name for field in fields(Row)]
    assert [float(row["log_odds"]) for row in table] == [row.log_odds for row in rows]
    assert [row["labels_kept"] == "" for row in table] == [row.origin == SELECT for row in rows]
    text = (out / "generator.md").read_text(encoding="utf-8")
    assert text.startswith(f"# The generator on {task.id}\n")
    cells = [re.split(r" *\| *", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert [cell[:3] for cell in cells[2:]] == [[row.origin, str(row.sweeps), str(N)] for row in rows]
    assert {len(cell) for cell in cells} == {8}


def test_the_same_seed_gives_the_same_table(
    small: dict[str, Any], config: Preparation, written: tuple[list[Row], Path], tmp_path: Path
) -> None:
    again, other = (diagnose(small["task"], config, "cpu", N, SWEEPS, seed) for seed in (0, 1))
    assert repr(again) == repr(written[0])
    assert repr(other) != repr(again)


def test_mistakes_are_named_before_anything_is_prepared(
    small: dict[str, Any], config: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l2a_gym.preparation.open_task.prepare", None)

    def call(
        task: str = small["task"],
        device: str = "cpu",
        texts: int = 2,
        sweeps: int = 2,
        seed: int = 0,
        change: Any = None,
    ) -> None:
        pool = replace(config.pool, copies=dict.fromkeys(LEXICAL, 1) if change is None else change)
        diagnose(task, replace(config, pool=pool), device, texts, sweeps, seed)

    with pytest.raises(UserError, match=r"^texts = 0: valid are whole numbers from 1$"):
        call(texts=0)
    with pytest.raises(UserError, match=r"^sweeps = 0: valid are whole numbers from 1$"):
        call(sweeps=0)
    with pytest.raises(UserError, match=r"^seed = -1: valid are whole numbers from 0, below 2\^63$"):
        call(seed=-1)
    with pytest.raises(UserError, match=r"^the pool has no edited copies of the shots: valid are pools with swap, "):
        call(change={"mix": 4, "swap": 0})
    with pytest.raises(UserError, match=r"^unknown task 'no/task'"):
        call(task="no/task")
    with pytest.raises(UserError, match=r"^unknown device 'gpu'"):
        call(device="gpu")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file can't be written \(File exists\): .* name another place with --out"):
        make_folder(tmp_path / "file")
