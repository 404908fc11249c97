"""References: equal to what scikit-learn computes by itself, blind to the labels of test, and kept in the cache."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from torch.nn import functional as F

from l2a_gym.distill.regression import folds_of
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.references import LEARN, compute, references
from l2a_gym.experiment.references.classifier import Classifier, figures_of
from l2a_gym.experiment.references.frozen import cleaned, on_all_labels, on_shots
from l2a_gym.experiment.references.given import Given
from l2a_gym.experiment.references.set_fit import UPDATES, updates_of
from l2a_gym.experiment.references.static import RARE, StaticVectors, piece_vectors, shares
from l2a_gym.experiment.references.tfidf import Grams
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.task import Texts

OWN = [name for name in LEARN if name != "SetFit"]
Numbers = NDArray[np.int64]


@pytest.fixture(scope="module")
def given(adapter: DistillAdapter, prepared: Prepared) -> Given:
    return Given(adapter.task, prepared)


@pytest.fixture(scope="module")
def learnt(given: Given) -> Callable[[str], Classifier]:
    """A reference by its name, learnt once."""
    return cache(lambda name: LEARN[name](given))


@pytest.fixture(scope="module")
def source_rows(given: Given) -> Texts:
    """Source texts and shots, one after the other."""
    parts = [*given.task.sources.values(), given.task.train]
    return Texts(tuple(text for part in parts for text in part.text), np.concatenate([part.label for part in parts]))


def unlabelled(n: int, *text: str, pair: tuple[str, ...] | None = None) -> Texts:
    return Texts(text, np.zeros(n, dtype=np.int64), pair)


def relabelled(given: Given, split: str, label: Numbers) -> Given:
    """The same task with other labels of one split."""
    return Given(replace(given.task, **{split: replace(getattr(given.task, split), label=label)}), given.prepared)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Our own warnings."""
    return [each.getMessage() for each in caplog.records if each.name == "l2a_gym.experiment.figures"]


def weights(given: Given, n: int) -> NDArray[np.float64]:
    """Of n texts, of which the shots are the last: four times as much as the others."""
    return np.where(np.arange(n) < n - len(given.task.train), 1.0, 4.0)


def unit_vectors(given: Given, rows: Numbers) -> NDArray[np.float64]:
    vectors = given.prepared.array("base/vectors")[rows][:, 0].astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_references_are_kept_and_one_that_cannot_be_read_or_written_is_computed_again(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path))
    first = references(given.task, given.prepared)
    assert list(first) == (list(LEARN) if find_spec("setfit") else OWN)
    assert references(given.task, given.prepared) == first  # the measured speed, too
    assert said(caplog) == []
    (file,) = tmp_path.rglob("TF-IDF.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content | {"test_accuracy": 1.5}), encoding="utf-8")
    again = references(given.task, given.prepared)
    assert replace(again["TF-IDF"], texts_per_second=0.0) == replace(first["TF-IDF"], texts_per_second=0.0)
    assert {name: each for name, each in again.items() if name != "TF-IDF"} == {
        name: each for name, each in first.items() if name != "TF-IDF"
    }
    assert said(caplog) == [f"{file} is damaged: computing it again"]
    assert references(given.task, given.prepared) == again
    file.unlink()
    file.mkdir()
    unkept = references(given.task, given.prepared)["TF-IDF"]
    assert replace(unkept, texts_per_second=0.0) == replace(first["TF-IDF"], texts_per_second=0.0)
    assert f"{file} can't be written" in said(caplog)[-1]


@pytest.mark.parametrize("name", OWN)
def test_labels_of_test_change_the_test_accuracy_alone(
    given: Given, learnt: Callable[[str], Classifier], name: str
) -> None:
    right = figures_of(learnt(name), given.task)
    wrong = compute(name, relabelled(given, "test", 1 - given.task.test.label))
    assert wrong.test_accuracy == pytest.approx(1 - right.test_accuracy)
    assert 0 < right.test_accuracy != 0.5
    assert min(right.texts_per_second, wrong.texts_per_second) > 0
    same = {"test_accuracy": 0.0, "texts_per_second": 0.0}
    assert replace(wrong, **same) == replace(right, **same)


def test_labels_that_each_reference_has_read(given: Given, learnt: Callable[[str], Classifier]) -> None:
    train, dev, select = (len(part) for part in (given.task.train, given.task.dev, given.task.select))
    assert given.task.select is not given.task.dev
    read = {name: learnt(name).labels for name in OWN}
    assert max(read.values()) <= given.task.labels_used
    assert (
        read.items()
        >= {
            "TF-IDF": train + dev,
            "static vectors": train + dev,
            "frozen vectors, shots": train,
            "frozen vectors, sources + shots": train + dev,
            "frozen vectors, cleaned sources + shots": train + dev,
            "frozen vectors, all labels": train + dev + select,
        }.items()
    )


def test_dev_decides_where_a_class_has_a_single_shot(given: Given) -> None:
    rare = np.zeros_like(given.task.train.label)
    rare[3] = 1
    assert on_shots(relabelled(given, "train", rare)).labels == len(given.task.train) + len(given.task.dev)


def test_shots_alone_are_read(given: Given, learnt: Callable[[str], Classifier]) -> None:
    """Whatever the labels of dev: the classes of test stay."""
    other = relabelled(given, "dev", 1 - given.task.dev.label)
    assert np.array_equal(on_shots(other).test, learnt("frozen vectors, shots").test)


def test_dev_is_answered_by_regressions_that_have_not_learnt_from_it(given: Given) -> None:
    """Scikit-learn's answers out of fold, and not those of the regression on all labels; a third of dev is wrong."""
    wrong = np.arange(len(given.task.dev)) % 3 == 0
    noisy = relabelled(given, "dev", np.where(wrong, 1 - given.task.dev.label, given.task.dev.label))
    parts = ("dev", "train", "select")
    inputs = np.concatenate([unit_vectors(given, given.rows[part]) for part in parts])
    label = np.concatenate([getattr(noisy.task, part).label for part in parts])
    partitions = [PredefinedSplit(folds_of(label, seed)) for seed in range(5)]
    made = on_all_labels(noisy)
    agree = []
    for c in (0.01, 0.1, 1, 10, 100, 1000):
        fit = LogisticRegression(C=c, max_iter=1000)
        odds = [cross_val_predict(fit, inputs, label, cv=cv, method="decision_function") for cv in partitions]
        agree.append(((np.mean(odds, axis=0) > 0)[: len(wrong)] == made.dev).mean())
        assert ((fit.fit(inputs, label).predict(inputs))[: len(wrong)] != made.dev).any()
    assert max(agree) > 0.995


@pytest.mark.parametrize("name", [name for name in OWN if name.startswith("frozen")])
def test_raw_texts_are_answered_as_stored_vectors_are(
    given: Given, learnt: Callable[[str], Classifier], name: str
) -> None:
    made = learnt(name)
    assert (made.classify(given.task.test) == made.test).mean() > 0.98


def test_sources_and_shots_are_regressed_as_scikit_learn_does(
    given: Given, learnt: Callable[[str], Classifier]
) -> None:
    rows = np.concatenate([given.rows["sources"], given.rows["train"]])
    inputs, label = unit_vectors(given, rows), given.label[rows].numpy()
    test = unit_vectors(given, given.rows["test"])
    fits = [LogisticRegression(C=c, max_iter=1000) for c in (0.01, 0.1, 1, 10, 100, 1000)]
    answers = [fit.fit(inputs, label, weights(given, len(rows))).predict(test) for fit in fits]
    made = learnt("frozen vectors, sources + shots")
    assert max((made.test == each).mean() for each in answers) > 0.99
    encoder = given.encoder.base_model.num_parameters()
    assert made.parameters == encoder + 2 * (32 + 1)


def test_cleaned_sources_are_those_that_other_folds_confirm(given: Given) -> None:
    """Every fifth label of a source is wrong here: few enough for the others to tell."""
    right = {name: np.abs(part.label - given.task.flipped[name]) for name, part in given.task.sources.items()}
    wrong = {name: np.arange(len(label)) % 5 == 0 for name, label in right.items()}
    parts = {name: replace(part, label=np.abs(right[name] - wrong[name])) for name, part in given.task.sources.items()}
    given = Given(replace(given.task, sources=parts), given.prepared)
    sources = given.rows["sources"]
    rows = np.concatenate([sources, given.rows["train"]])
    inputs, label, fold = unit_vectors(given, rows), given.label[rows].numpy(), folds_of(given.label[rows].numpy(), 0)
    weight = weights(given, len(rows))
    confirmed = []
    for c in (0.1, 1, 10):
        answer = np.empty_like(label)
        for k in range(5):
            fit = LogisticRegression(C=c, max_iter=1000).fit(inputs[fold != k], label[fold != k], weight[fold != k])
            answer[fold == k] = fit.predict(inputs[fold == k])
        confirmed.append((answer == label)[: len(sources)])
    kept = np.isin(sources, cleaned(given))
    assert max((kept == each).mean() for each in confirmed) > 0.99
    flipped = np.concatenate(list(wrong.values()))
    assert flipped[kept].mean() < 0.1 < 0.3 < flipped[~kept].mean()


def test_grams_of_two_texts() -> None:
    """Both have "aa" as a word and six n-grams of its characters; nothing else is in both."""
    grams = Grams(unlabelled(2, "aa bb", "aa cc"))
    assert sorted(grams.vocabulary) == [" a", " aa", " aa ", "a ", "aa", "aa", "aa "]
    u = np.array([1.0] + [6**-0.5] * 6)
    found = grams(unlabelled(2, "aa", "dd")).toarray()
    np.testing.assert_allclose(found, [u, np.zeros(7)], rtol=1e-6)
    pairs = grams(unlabelled(2, "aa", "aa", pair=("aa", "dd"))).toarray()
    np.testing.assert_allclose(pairs, [[*np.zeros(7), *u**2], [*u, *np.zeros(7)]], rtol=1e-6)


def test_tfidf_is_scikit_learns(given: Given, learnt: Callable[[str], Classifier], source_rows: Texts) -> None:
    parts = [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        TfidfVectorizer(ngram_range=(2, 5), analyzer="char_wb", sublinear_tf=True, min_df=2),
    ]
    inputs = np.hstack([part.fit_transform(source_rows.text).toarray() for part in parts])
    dev, test = (
        np.hstack([part.transform(split.text).toarray() for part in parts])
        for split in (given.task.dev, given.task.test)
    )
    weight = weights(given, len(source_rows))
    fits = [LogisticRegression(C=c, max_iter=1000).fit(inputs, source_rows.label, weight) for c in (1, 10, 100)]
    best = max(fits, key=lambda fit: fit.score(dev, given.task.dev.label))
    made = learnt("TF-IDF")
    assert (made.test == best.predict(test)).mean() > 0.99
    assert (made.dev == best.predict(dev)).mean() > 0.99
    grams = [gram for part in parts for gram in part.vocabulary_]
    assert made.parameters == 2 * len(grams) + 1
    assert figures_of(made, given.task).megabytes == pytest.approx((8 * len(grams) + 4) / 1e6)


def test_shares_are_those_of_the_pools_pieces(given: Given) -> None:
    tokenizer, pool = given.prepared.tokenizer(), given.prepared.pool()["text"]
    count = Counter(piece for text in pool for piece in tokenizer.tokenize(text)[: given.task.max_length - 2])
    found = dict(zip(tokenizer.convert_ids_to_tokens(range(len(tokenizer))), shares(given), strict=True))
    total = sum(count.values())
    assert found == pytest.approx({piece: count[piece] / total for piece in found})
    assert found["[CLS]"] == found["[PAD]"] == 0 < found["##0"]


def test_piece_vectors_are_principal_components_of_single_pieces(given: Given, in_float32: None) -> None:
    encoder, pieces = given.encoder.base_model.eval(), given.prepared.array("tokens/kept")
    with torch.no_grad():
        states = [encoder(torch.tensor([[2, piece, 3]])).last_hidden_state.mean(1) for piece in pieces]
    alone = torch.cat(states).double().numpy()
    centred = alone - alone.mean(0)
    found = piece_vectors(given) / (RARE / (RARE + shares(given)))[:, None]
    assert found.shape == (len(pieces), 32)
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=0.05)  # components have no sign


def test_static_vectors_are_means_of_pieces(given: Given) -> None:
    tokenizer = given.prepared.tokenizer()
    table = np.random.default_rng(0).normal(size=(len(tokenizer), 5)).astype(np.float32)
    inputs = StaticVectors(table, tokenizer, 16)
    film, was, good = (
        torch.from_numpy(table[tokenizer.convert_tokens_to_ids(each)]) for each in ("film", "was", "good")
    )
    u, v = F.normalize((film + was) / 2, dim=0), F.normalize((film + good + good) / 3, dim=0)
    texts = unlabelled(2, "film was", "", pair=("good film good", "film"))
    torch.testing.assert_close(inputs(replace(texts, pair=None)), torch.stack([u, torch.zeros(5)]))
    torch.testing.assert_close(inputs(texts)[0], torch.cat([u, v, (u - v).abs(), u * v]))


def test_static_vectors_learn_from_sources_and_shots(
    given: Given, learnt: Callable[[str], Classifier], source_rows: Texts
) -> None:
    table = piece_vectors(given)
    inputs = StaticVectors(table, given.prepared.tokenizer(), given.task.max_length)
    made = learnt("static vectors")
    fits = [LogisticRegression(C=c, max_iter=1000) for c in (0.01, 0.1, 1, 10, 100, 1000)]
    learnt, test = inputs(source_rows).double().numpy(), inputs(given.task.test).double().numpy()
    answers = [fit.fit(learnt, source_rows.label, weights(given, len(learnt))).predict(test) for fit in fits]
    assert max((made.test == each).mean() for each in answers) > 0.99
    assert made.parameters == table.size + 2 * (32 + 1)


@pytest.mark.parametrize(
    ("label", "updates"), [([0] * 25 + [1] * 39, 139), ([0, 1], 1), ([0, 0, 1], 1), (list(range(77)) * 4, UPDATES)]
)
def test_updates_of_an_epoch_of_setfit(label: list[int], updates: int) -> None:
    """Of 64 shots, 25 and 39, there are 975 pairs of two classes and 1105 of one, each shot with itself among them."""
    assert updates_of(np.array(label)) == updates


def test_setfit_learns_from_shots(given: Given) -> None:
    pytest.importorskip("setfit")
    made: Classifier = LEARN["SetFit"](given)
    assert made.labels == len(given.task.train)
    assert made.parameters == given.encoder.base_model.num_parameters() + 32 + 1
    assert np.array_equal(made.classify(given.task.test), made.test)
