"""Deduplication, splits, shots and label noise, on small cases whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.fewshot import deduplicate, few_shot_task, flip_labels, stratified
from l2a_gym.tasks.task import Task, Texts

LABELS = ("a", "b", "c")


def texts_of(name: str, size: int) -> Texts:
    """Half of the texts are of class 0, three tenths of class 1, two tenths of class 2."""
    label = np.array([(0, 0, 0, 0, 0, 1, 1, 1, 2, 2)[n % 10] for n in range(size)], dtype=np.int64)
    return Texts(tuple(f"{name} number {n}" for n in range(size)), label)


def task_of(shots: int = 20, target: int = 3000, noise: float = 0.0, limit: int = 4000, seed: int = 0) -> Task:
    domains = {"x": texts_of("x", 500), "home": texts_of("home", target), "y": texts_of("y", 300)}
    return few_shot_task("t", domains, "home", LABELS, shots=shots, noise=noise, source_limit=limit, seed=seed)


def splits_of(task: Task) -> list[set[str]]:
    return [set(split.text) for split in (task.train, task.dev, task.select, task.test)]


def test_deduplicate_goes_through_the_target_first() -> None:
    domains = {
        "source": Texts(("Same  text", "only here", "Only HERE "), np.array([0, 1, 0])),
        "target": Texts(("same\ttext", "another", "ANOTHER"), np.array([1, 0, 1])),
        "third": Texts(("only here", "new"), np.array([1, 1])),
    }
    unique = deduplicate(domains, first="target")
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


def test_pairs_are_the_same_only_when_both_sides_are() -> None:
    texts = Texts(("a", "a", "b", "A"), np.array([0, 1, 0, 1]), pair=("x", "y", "x", "X"))
    unique = deduplicate({"d": texts}, first="d")["d"]
    assert (unique.text, unique.pair) == (("a", "a", "b"), ("x", "y", "x"))


@pytest.mark.parametrize(
    ("counts", "size", "shares"),
    [
        ((50, 30, 20), 10, (5, 3, 2)),
        ((50, 30, 20), 7, (4, 2, 1)),  # 3.5, 2.1, 1.4: the largest remainder gets the one that is left
        ((46, 28, 26), 5, (2, 2, 1)),  # 2.3, 1.4, 1.3
        ((99, 1), 4, (3, 1)),
        ((98, 1, 1), 3, (1, 1, 1)),
        ((990, 5, 5), 8, (6, 1, 1)),
        ((3, 2), 5, (3, 2)),
    ],
)
def test_stratified_shares(counts: tuple[int, ...], size: int, shares: tuple[int, ...]) -> None:
    label = np.repeat(np.arange(len(counts)), counts)
    rows = stratified(label, size, np.random.default_rng(0))
    assert len(set(rows.tolist())) == size
    assert tuple(np.bincount(label[rows], minlength=len(counts))) == shares


def test_stratified_is_random_but_seeded() -> None:
    label = texts_of("x", 100).label
    one, same, other = (stratified(label, 20, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1))
    assert one == same
    assert set(one) != set(other)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.999])
def test_exactly_the_share_is_flipped_and_to_another_class(classes: int, share: float) -> None:
    label = np.arange(700, dtype=np.int64) % classes
    given, flipped = flip_labels(label, classes, share, np.random.default_rng(3))
    assert flipped.sum() == round(share * 700)
    assert ((given != label) == flipped).all()
    assert 0 <= given.min() <= given.max() < classes


def test_flips_are_spread_evenly_over_the_other_classes() -> None:
    given, _ = flip_labels(np.zeros(9000, dtype=np.int64), 4, 2 / 3, np.random.default_rng(0))
    assert np.bincount(given) == pytest.approx([3000, 2000, 2000, 2000], abs=150)


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
    task = few_shot_task("t", domains, "home", LABELS, shots=6, noise=0.5)
    for texts in (task.train, task.dev, task.select, task.test, task.sources["x"]):
        assert texts.pair == tuple(text.upper() for text in texts.text)


@pytest.mark.parametrize("shots", [2, 38, 1000])
def test_shots_out_of_range(shots: int) -> None:
    with pytest.raises(UserError, match=rf"t: {shots} shots of 40 different home texts: from 3 .* to 37 can be given"):
        task_of(shots=shots, target=40)


def test_class_that_the_draw_leaves_no_shot_of() -> None:
    label = np.array([0] * 30 + [1] * 30 + [2] * 2)
    home = Texts(tuple(f"home number {n}" for n in range(62)), label)
    domains = {"home": home, "x": texts_of("x", 9)}
    failures = 0
    for seed in range(40):
        try:
            task = few_shot_task("t", domains, "home", LABELS, shots=6, seed=seed)
        except UserError:
            failed = seed
            failures += 1
        else:
            assert set(task.train.label.tolist()) == {0, 1, 2}
    assert 0 < failures < 40
    with pytest.raises(UserError, match="t: the draw left no home text of class 'c' for the shots: give more of them"):
        few_shot_task("t", domains, "home", LABELS, shots=6, seed=failed)


def test_source_that_deduplication_empties() -> None:
    domains = {"home": texts_of("home", 60), "copy": texts_of("home", 20)}
    with pytest.raises(UserError, match="t: every text of the source copy stands in home or in an earlier source"):
        few_shot_task("t", domains, "home", LABELS, shots=6)
