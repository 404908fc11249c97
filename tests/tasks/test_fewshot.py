"""Deduplication, splits and shots, on small cases whose answers are known."""

from __future__ import annotations

import unicodedata
from functools import partial

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.duplicates import deduplicate
from l2a_gym.tasks.fewshot import few_shot_task
from l2a_gym.tasks.task import Task, Texts
from l2a_gym.tasks.troubles import symmetric

LABELS = ("a", "b", "c")


def texts_of(name: str, size: int) -> Texts:
    """Half of the texts are of class 0, three tenths of class 1, two tenths of class 2."""
    label = np.array([(0, 0, 0, 0, 0, 1, 1, 1, 2, 2)[n % 10] for n in range(size)], dtype=np.int64)
    return Texts(tuple(f"{name} number {n}" for n in range(size)), label)


def task_of(shots: int = 20, target: int = 3000, noise: float = 0.0, limit: int = 4000, seed: int = 0) -> Task:
    domains = {"x": texts_of("x", 500), "home": texts_of("home", target), "y": texts_of("y", 300)}
    troubles = {name: [partial(symmetric, noise)] for name in ("x", "y") if noise}
    return few_shot_task("t", domains, "home", LABELS, shots=shots, troubles=troubles, source_limit=limit, seed=seed)


def splits_of(task: Task) -> list[set[str]]:
    return [set(split.text) for split in (task.train, task.dev, task.select, task.test)]


def test_deduplicate_keeps_the_first_in_the_order_of_the_parts() -> None:
    domains = {
        "source": Texts(("Same  text", "only here", "Only HERE "), np.array([0, 1, 0])),
        "target": Texts(("same\ttext", "another", "ANOTHER"), np.array([1, 0, 1])),
        "third": Texts(("only here", "new"), np.array([1, 1])),
    }
    unique, found = deduplicate({name: domains[name] for name in ("target", "source", "third")})
    assert {name: texts.text for name, texts in unique.items()} == {
        "target": ("same\ttext", "another"),
        "source": ("only here",),
        "third": ("new",),
    }
    assert {name: texts.label.tolist() for name, texts in unique.items()} == {
        "target": [1, 0],
        "source": [1],
        "third": [1],
    }
    assert {name: each.label.tolist() for name, each in found.items()} == {
        name: texts.label.tolist() for name, texts in domains.items()
    }
    assert {name: (each.repeated, each.contradicting) for name, each in found.items()} == {
        "target": (1, ("ANOTHER",)),
        "source": (2, ("Same  text", "Only HERE ")),
        "third": (1, ()),
    }


def test_the_same_text_in_other_bytes_is_dropped() -> None:
    """Composed and decomposed letters, and marks of no width: a source must not hold what the target tests."""
    plain = texts_of("caf\u00e9", 60)
    for change in (
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text.replace(" ", "\u200b "),
        lambda text: f"\ufeff{text}",
    ):
        copies = Texts(tuple(change(text) for text in plain.text), plain.label)
        assert not set(copies.text) & set(plain.text)
        unique, found = deduplicate({"target": plain, "source": copies})
        assert (len(unique["target"]), len(unique["source"])) == (60, 0)
        assert (found["source"].repeated, found["source"].contradicting) == (60, ())


def test_pairs_are_the_same_only_when_both_sides_are() -> None:
    texts = Texts(("a", "a", "b", "A"), np.array([0, 1, 0, 1]), pair=("x", "y", "x", "X"))
    unique = deduplicate({"d": texts})[0]["d"]
    assert (unique.text, unique.pair) == (("a", "a", "b"), ("x", "y", "x"))


def test_sizes_and_shares_of_the_splits() -> None:
    task = task_of()
    assert [len(split) for split in (task.train, task.dev, task.select, task.test)] == [
        20,
        512,
        256,
        3000 - 512 - 2 * 256,
    ]
    assert task.domains == ("home", "x", "y")
    held_out: set[str] = set.union(*splits_of(task)[1:])
    stock = set(texts_of("home", 3000).text) - held_out
    assert set(task.train.text) <= stock
    share = np.bincount([texts_of("home", 3000).label[int(text.split()[-1])] for text in stock]) / len(stock)
    assert np.bincount(task.train.label) == pytest.approx(share * 20, abs=1)


@pytest.mark.parametrize(("target", "shots", "held_out"), [(40, 8, 8), (40, 37, 1), (1000, 300, 175), (1324, 300, 256)])
def test_small_targets_hold_out_a_quarter(target: int, shots: int, held_out: int) -> None:
    task = task_of(shots=shots, target=target)
    sizes = [len(split) for split in (task.train, task.dev, task.select, task.test)]
    assert sizes[:3] == [shots, held_out, held_out]
    assert sizes[3] >= 1


@pytest.mark.parametrize("target", [40, 300, 3000])
def test_splits_are_disjoint_and_labels_stay_with_their_texts(target: int) -> None:
    task = task_of(target=target)
    splits = splits_of(task)
    assert len(set.union(*splits)) == sum(len(split) for split in splits)
    for name, texts in {"home": task.train, "x": task.sources["x"], "y": task.sources["y"]}.items():
        assert [texts_of(name, 1 + int(text.split()[-1])).label[-1] for text in texts.text] == texts.label.tolist()


def test_no_source_text_stands_in_the_target() -> None:
    home = texts_of("home", 500)
    copies = Texts(tuple(text.upper().replace(" ", "  ") for text in home.text), home.label)
    both = Texts(copies.text + texts_of("x", 50).text, np.concatenate([copies.label, texts_of("x", 50).label]))
    task = few_shot_task("t", {"x": both, "home": home}, "home", LABELS, shots=20)
    assert set(task.sources["x"].text) == set(texts_of("x", 50).text)


def test_seeds() -> None:
    one, same, other = task_of(seed=5, noise=0.4), task_of(seed=5, noise=0.4), task_of(seed=6, noise=0.4)
    assert [split.text for split in (one.train, one.dev, one.select, one.test)] == [
        split.text for split in (same.train, same.dev, same.select, same.test)
    ]
    for name in ("x", "y"):
        assert one.sources[name].text == same.sources[name].text
        assert one.sources[name].label.tolist() == same.sources[name].label.tolist()
        assert one.flipped[name].tolist() != other.flipped[name].tolist()
    assert [a & b for a, b in zip(splits_of(one), splits_of(other), strict=True)] != splits_of(one)


def test_noise_changes_nothing_but_source_labels() -> None:
    clean, noisy = task_of(limit=200), task_of(limit=200, noise=0.4)
    for split in ("train", "dev", "select", "test"):
        assert getattr(clean, split).text == getattr(noisy, split).text
        assert getattr(clean, split).label.tolist() == getattr(noisy, split).label.tolist()
    assert clean.flipped == {}
    for name in ("x", "y"):
        assert len(noisy.sources[name]) == 200
        assert clean.sources[name].text == noisy.sources[name].text
        assert noisy.flipped[name].sum() == 80
        assert ((clean.sources[name].label != noisy.sources[name].label) == noisy.flipped[name]).all()


def test_more_shots_contain_the_fewer() -> None:
    few, some, many = (task_of(shots=shots) for shots in (10, 50, 250))
    assert set(few.train.text) < set(some.train.text) < set(many.train.text)
    assert few.dev.text == some.dev.text == many.dev.text
    assert few.select.text == some.select.text == many.select.text
    assert few.test.text == some.test.text == many.test.text


def test_a_pair_keeps_its_second_side() -> None:
    sides = {name: texts_of(name, 60) for name in ("home", "x")}
    domains = {name: Texts(t.text, t.label, tuple(text.upper() for text in t.text)) for name, t in sides.items()}
    task = few_shot_task("t", domains, "home", LABELS, shots=6, troubles={"x": [partial(symmetric, 0.5)]})
    for texts in (task.train, task.dev, task.select, task.test, task.sources["x"]):
        assert texts.pair == tuple(text.upper() for text in texts.text)


@pytest.mark.parametrize("shots", [2, 38, 1000])
def test_shots_out_of_range(shots: int) -> None:
    with pytest.raises(UserError, match=rf"t: {shots} shots of 40 different home texts: from 3 .* to 37 can be given"):
        task_of(shots=shots, target=40)


@pytest.mark.parametrize("seed", range(10))
def test_a_rare_class_is_learnt_and_measured(seed: int) -> None:
    label = np.array([0] * 30 + [1] * 30 + [2] * 3)
    home = Texts(tuple(f"home number {n}" for n in range(63)), label)
    task = few_shot_task("t", {"home": home, "x": texts_of("x", 9)}, "home", LABELS, shots=6, seed=seed)
    for split in (task.train, task.dev, task.test):
        assert set(split.label.tolist()) == {0, 1, 2}


def test_a_class_with_too_few_different_texts() -> None:
    """Copies in another spelling count once."""
    label = np.array([0] * 30 + [1] * 30 + [2] * 2)
    home = Texts((*(f"home number {n}" for n in range(60)), "the same", "THE SAME"), label)
    with pytest.raises(UserError, match=r"^t: needs 2 different home texts of class 'c', found 1$"):
        few_shot_task("t", {"home": home, "x": texts_of("x", 9)}, "home", LABELS, shots=6)


@pytest.mark.parametrize("shots", [77, 154, 231])
@pytest.mark.parametrize("seed", range(20))
def test_many_classes(shots: int, seed: int) -> None:
    labels = tuple(f"intent {n}" for n in range(77))
    home, x = (Texts(tuple(f"{name} {n}" for n in range(77 * 9)), np.arange(77 * 9) % 77) for name in ("home", "x"))
    task = few_shot_task("t", {"home": home, "x": x}, "home", labels, shots=shots, seed=seed)
    assert np.bincount(task.train.label, minlength=77).tolist() == [shots // 77] * 77
    for split in (task.dev, task.select, task.test):
        assert len(set(split.label.tolist())) == 77


def test_source_that_deduplication_empties() -> None:
    domains = {"home": texts_of("home", 60), "copy": texts_of("home", 20)}
    with pytest.raises(UserError, match="t: every text of the source copy stands in home or in an earlier source"):
        few_shot_task("t", domains, "home", LABELS, shots=6)
