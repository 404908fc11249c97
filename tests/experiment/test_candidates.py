"""What was chosen: the table of a run's candidates, and the source texts that ``l2a select`` writes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.candidates import candidates, places
from l2a_gym.experiment.run import load_selector
from l2a_gym.experiment.seeds import student_seeds
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.students import final_students
from l2a_gym.experiment.train import train
from l2a_gym.experiment.weighing import weigh
from l2a_gym.preparation.store import Prepared

T, N = 4, 24  # the budget of the small task
COLUMNS = [
    *("row", "origin", "parent", "text", "label", "domain", "operator"),
    *("few_shot_probability", "few_shot_prediction", "all_data_probability", "all_data_prediction"),
    *("cross_fitted_probability", "cross_fitted_prediction", "agreement", "times_shown", "weight", "kept", "wrong"),
]


@pytest.fixture(scope="module")
def table(whole_run: Run, whole_summary: dict[str, Any]) -> pd.DataFrame:
    return pd.read_parquet(whole_run.folder / "candidates.parquet")


def line_of(place: str) -> list[str]:
    """The cells at a place of a CSV file whose cells stand on one line each."""
    file, _, number = place.rsplit(" ", 2)
    return Path(file).read_text(encoding="utf-8").splitlines()[int(number) - 1].split(",")


# The weights


@pytest.mark.parametrize("students", [1, 3])
def test_a_rule_of_fixed_columns_weighs_every_candidate_by_them(
    adapter: DistillAdapter, prepared: Prepared, students: int
) -> None:
    """Those that students were shown, and those that they were not."""
    weighed = weigh(adapter, adapter.selector("all-data-agrees"), list(range(students)))
    logits, label = (
        each[: prepared.rows["pool"].stop]
        for each in (prepared.logits("all-data", slice(None)), prepared.labels(slice(None)))
    )
    given = logits.softmax(1).gather(1, label[:, None])[:, 0].numpy()
    assert np.array_equal(weighed.weight, (given > 0.5).astype(float))
    assert weighed.shown.sum() == students * T * N
    assert 0 < (weighed.shown == 0).sum() < len(weighed.shown)
    assert (weighed.agreement != 0).all()
    assert (np.abs(weighed.agreement) <= 1).all()


def test_weights_are_the_means_of_those_that_the_compared_students_learnt_with(
    whole_run: Run, whole_summary: dict[str, Any], adapter: DistillAdapter
) -> None:
    selector, seeds = load_selector(whole_run, adapter), student_seeds(whole_run.task, 2, whole_run.seed)
    weighed, played = weigh(adapter, selector, seeds), final_students(adapter, selector, seeds)
    rows, weights = (np.concatenate([getattr(each, name).ravel() for each in played]) for name in ("shown", "weights"))
    assert weighed.shown.tolist() == np.bincount(rows, minlength=len(weighed.shown)).tolist()
    for row in np.unique(rows):
        assert weighed.weight[row] == pytest.approx(weights[rows == row].mean())
    assert 0 < weighed.weight[weighed.shown == 0].mean() < 1


@pytest.mark.parametrize("name", ["dsir", "loss-curriculum", "trust-teacher"])
def test_whatever_a_selector_looks_at(adapter: DistillAdapter, name: str) -> None:
    """Columns on request, the progress, and a distillation of its own: about half or all are kept."""
    weighed = weigh(adapter, adapter.selector(name), [0])
    share = (weighed.weight > 0).mean()
    assert share == 1 if name == "trust-teacher" else 0.3 < share < 1


# The table


def test_every_row_points_to_its_text(table: pd.DataFrame, adapter: DistillAdapter, prepared: Prepared) -> None:
    assert list(table) == COLUMNS
    assert table["row"].tolist() == np.flatnonzero(prepared.array("signals/usable")).tolist()
    as_they_are = table["operator"] == "source"
    assert (table["origin"].notna() == as_they_are).all()
    assert (table["parent"].isna() == as_they_are).all()
    for place, text, label, wrong in table.loc[as_they_are, ["origin", "text", "label", "wrong"]].itertuples(
        index=False
    ):
        written = line_of(place)
        assert written[0] == text
        assert (written[1] != label) == wrong
    for place, label, domain in table.loc[~as_they_are, ["parent", "label", "domain"]].itertuples(index=False):
        assert line_of(place)[1] == label  # of a shot, whose label is right
        assert domain == "films"
    shots = {f"{place}" for place in adapter.task.train.origin or ()}
    assert set(table["parent"].dropna()) <= shots
    assert table["wrong"].sum() == sum(each.sum() for each in adapter.task.flipped.values())


def test_teachers_are_those_of_the_preparation(table: pd.DataFrame, prepared: Prepared) -> None:
    names, rows = prepared.manifest()["labels"], table["row"].to_numpy()
    for teacher, column in {"few-shot": "few_shot", "all-data": "all_data", "cross-fitted": "cross_fitted"}.items():
        probability = prepared.logits(teacher, prepared.rows["pool"]).softmax(1).numpy()[rows]
        likeliest = table[f"{column}_prediction"]
        assert likeliest.tolist() == [names[code] for code in probability.argmax(1)]
        given = [names.index(label) for label in table["label"]]
        np.testing.assert_allclose(table[f"{column}_probability"], probability[range(len(rows)), given], atol=1e-6)
    assert (table["kept"] == (table["weight"] > 0)).all()


def test_texts_without_labels(unlabelled: dict[str, Any]) -> None:
    settings = {**{name: value for name, value in unlabelled.items() if name != "task"}, "general_updates": 0}
    adapter = DistillAdapter(unlabelled["task"], settings)
    origin, parent = places(adapter.task, adapter.prepared)
    pool, operators = adapter.prepared.pool(), adapter.prepared.manifest()["operators"]
    bare = np.array(pool["operator"]) == operators.index("unlabelled")
    assert [line_of(place)[0] for place in origin[bare]] == [
        text for text, own in zip(pool["text"], bare, strict=True) if own
    ]
    assert not any(parent[bare])


def test_csv_holds_the_same_and_asks_for_nothing_to_be_trained_again(whole_run: Run, table: pd.DataFrame) -> None:
    folder = whole_run.folder
    before = {name: (folder / name).read_bytes() for name in ("candidates.parquet", "rows.jsonl", "exported.json")}
    train(replace(whole_run, candidates="csv"))
    assert {name: (folder / name).read_bytes() for name in before} == before
    read = pd.read_csv(
        folder / "candidates.csv",
        float_precision="round_trip",
        keep_default_na=False,
        na_values={"origin": "", "parent": ""},
    )
    pd.testing.assert_frame_equal(read.astype(table.dtypes).fillna(""), table.fillna(""))
    with (folder / "candidates.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == table["text"].tolist()
    train(whole_run)
    assert {name: (folder / name).read_bytes() for name in before} == before


# l2a select


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_clean_sources_train_a_classifier(
    l2a: Callable[..., Any], small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """The oracle keeps texts whose label is right: all of them, in the files' order."""
    monkeypatch.chdir(tmp_path)
    options = {
        "checkpoint": small["checkpoint"],
        "device": "cpu",
        "algo": "oracle",
        "students": "1",
        "out": f"new/clean{suffix}",
    }
    code, out, errors = l2a("select", small["task"], **options, **{"general-updates": "0"})
    assert code is None, errors
    read: dict[str, Callable[..., pd.DataFrame]] = {
        ".parquet": pd.read_parquet,
        ".csv": pd.read_csv,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
    }
    clean = read[suffix](Path(f"new/clean{suffix}"))
    assert list(clean) == ["text", "label", "domain", "weight", "origin"]
    said = f"{len(clean)} of 140 source texts, to which oracle gives a weight of 0.25 or more"
    assert out.splitlines()[-1] == f"new/clean{suffix}: {said}"
    assert len(clean) == 140 - 32 - 24
    places = [place.rsplit(" ", 2) for place in clean["origin"]]
    assert [(domain, int(number)) for domain, (_, _, number) in zip(clean["domain"], places, strict=True)] == sorted(
        (Path(file).stem, int(number)) for file, _, number in places
    )
    assert [line_of(place) for place in clean["origin"]] == clean[["text", "label"]].values.tolist()
    words = CountVectorizer().fit(clean["text"])
    model = LogisticRegression().fit(words.transform(clean["text"]), clean["label"], sample_weight=clean["weight"])
    films = pd.read_csv(Path(small["task"]).with_name("films.csv"))
    assert model.score(words.transform(films["text"]), films["label"]) > 0.95
    again = l2a("select", small["task"], **options)
    assert again == (
        2,
        "",
        f"error: new/clean{suffix} is there already: move it away or name another file with --out\n",
    )


def test_texts_of_little_weight_are_left_out(
    l2a: Callable[..., Any], tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {
        **{"checkpoint": tiny["checkpoint"], "device": "cpu", "algo": "cross-fitted-weight", "students": "1"},
        "general-updates": "0",
    }
    for least in ("0", "0.5"):
        assert l2a("select", tiny["task"], **options, least=least, out=f"{least}.csv")[0] is None
    every, heavy = (pd.read_csv(f"{least}.csv") for least in ("0", "0.5"))
    assert 0 < every["weight"].min() < 0.5
    pd.testing.assert_frame_equal(heavy, every[every["weight"] >= 0.5].reset_index(drop=True))


def test_what_cannot_be_written_is_refused_at_once(
    l2a: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.csv").mkdir()
    for words, message in {
        (
            "hutto/nyt-16",
            "--out",
            "taken.csv",
        ): "taken.csv is there already: move it away or name another file with --out",
        (
            "hutto/nyt-16",
            "--out",
            "clean.cvs",
        ): "unknown suffix of clean.cvs '.cvs': did you mean '.csv'? valid are .parquet, .csv, .jsonl",
        ("hutto/nyt-16", "--least", "25"): "least = 25.0: valid are numbers from 0 to 1",
        ("toy",): "the toy's candidates are no texts: name another task",
    }.items():
        assert l2a("select", *words) == (2, "", f"error: {message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]


def test_pairs_have_both_texts(tmp_path: Path, small: dict[str, Any]) -> None:
    for name in ("here", "there"):
        rows = [f"{name} {n},other {n},{'same' if n % 2 else 'different'}" for n in range(80)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,pair,label", *rows]), encoding="utf-8")
    (tmp_path / "task.toml").write_text(
        'target = "here"\nshots = 16\nmax_length = 16\n[domains]\nhere = "here.csv"\nthere = "there.csv"\n'
        '[columns]\npair = "pair"\n[budget]\nsteps = 1\ncandidates = 8\nupdates = 1\n'
    )
    settings = {**small, "task": str(tmp_path / "task.toml"), "pool": "sources", "general_updates": 0}
    run = Run(algo="uniform", **settings, students=1)
    adapter = DistillAdapter(run.task, run.environment)
    table = candidates(run, adapter, adapter.selector("uniform"))
    assert list(table) == [*COLUMNS[:4], "pair", *COLUMNS[4:-1]]  # no label is known to be wrong
    assert [line_of(place) for place in table["origin"]] == table[["text", "pair", "label"]].values.tolist()
    assert (table["weight"] == 1).all()
    assert sorted(table["times_shown"]) == [0] * 72 + [1] * 8
