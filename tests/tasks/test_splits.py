"""Stratified samples and splits, on small cases whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.tasks.splits import PARTS, stratified, stratified_split


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


@pytest.mark.parametrize(
    ("counts", "size", "shares"), [((99, 1), 4, (4, 0)), ((5, 3, 2), 0, (0, 0, 0)), ((5, 5), 3, None), ((), 0, ())]
)
def test_stratified_without_a_text_for_every_class(
    counts: tuple[int, ...], size: int, shares: tuple[int, ...] | None
) -> None:
    label = np.repeat(np.arange(len(counts)), counts)
    samples = [
        tuple(np.bincount(label[stratified(label, size, np.random.default_rng(seed), least=0)], minlength=len(counts)))
        for seed in range(20)
    ]
    assert set(samples) == ({shares} if shares is not None else {(2, 1), (1, 2)})


def test_stratified_is_random_but_seeded() -> None:
    label = np.arange(100) % 3
    one, same, other = (stratified(label, 20, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1))
    assert one == same
    assert set(one) != set(other)


def split_of(counts: tuple[int, ...], sizes: tuple[int, ...], seed: int = 0) -> dict[str, list[int]]:
    """Texts of each class in each part; checks that the parts are a partition."""
    label = np.random.default_rng(9).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = stratified_split(label, dict(zip(PARTS, sizes, strict=True)), np.random.default_rng(seed))
    assert list(parts) == list(PARTS)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(label)))
    assert tuple(len(rows) for rows in parts.values()) == sizes
    return {name: np.bincount(label[rows], minlength=len(counts)).tolist() for name, rows in parts.items()}


@pytest.mark.parametrize("seed", range(5))
def test_parts_have_the_classes_in_their_shares(seed: int) -> None:
    """Within two texts, of which one stands in each part for each class."""
    sizes = (100, 200, 500, 200)
    split = split_of((600, 300, 100), sizes, seed)
    for name, size in zip(PARTS, sizes, strict=True):
        assert split[name] == pytest.approx([0.6 * size, 0.3 * size, 0.1 * size], abs=2)


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_stands_in_every_part_as_far_as_it_goes(seed: int) -> None:
    split = split_of((900, 4, 3, 2), (100, 200, 500, 109), seed)
    assert {name: counts[1:] for name, counts in split.items()} == {
        "stock": [1, 1, 1],
        "dev": [1, 1, 1],
        "test": [1, 1, 0],
        "select": [1, 0, 0],
    }


def test_parts_without_room_for_every_class_get_none_ahead() -> None:
    split = split_of((20, 3, 3), (10, 2, 12, 2))
    assert min(*split["stock"], *split["test"]) >= 1
    assert (sum(split["dev"]), sum(split["select"])) == (2, 2)


@pytest.mark.parametrize("seed", range(20))
def test_77_classes(seed: int) -> None:
    split = split_of((40,) * 77, (154, 512, 2158, 256), seed)
    assert split["stock"] == [2] * 77
    assert set(split["dev"]) <= {6, 7}
    assert set(split["select"]) <= {2, 3, 4, 5}


def test_nothing_is_left_for_the_shares() -> None:
    assert split_of((4, 4, 4), (3, 3, 3, 3)) == {name: [1, 1, 1] for name in PARTS}


def test_a_split_is_random_but_seeded() -> None:
    label, sizes = np.arange(100) % 2, dict(zip(PARTS, (20, 30, 30, 20), strict=True))
    one, same, other = (
        stratified_split(label, sizes, np.random.default_rng(seed))["dev"].tolist() for seed in (0, 0, 1)
    )
    assert one == same
    assert set(one) != set(other)
