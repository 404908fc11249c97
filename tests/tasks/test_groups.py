"""Groups of texts that never stand on two sides."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.files import make
from l2a_gym.tasks.groups import group_split
from l2a_gym.tasks.splits import PARTS
from l2a_gym.tasks.task import Task

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask


def split_of(
    groups: list[int], sizes: tuple[int, ...], shares: tuple[float, ...] = (0.6, 0.4), seed: int = 0
) -> Counter[tuple[str, int]]:
    """Texts by part and class, of groups of these sizes; checks that the parts are a partition into whole groups."""
    group = [f"author {n}" for n, size in enumerate(groups) for _ in range(size)]
    label = np.random.default_rng(1).choice(len(shares), size=len(group), p=shares)
    parts = group_split("t", group, label, dict(zip(PARTS, sizes, strict=True)), np.random.default_rng(seed))
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(group)))
    authors = [{group[row] for row in parts[name]} for name in PARTS]
    assert [one & other for one, other in combinations(authors, 2)] == [set()] * 6
    return Counter((name, int(label[row])) for name in PARTS for row in parts[name])


@pytest.mark.parametrize("seed", range(5))
def test_many_small_groups_come_near_to_sizes_and_shares(seed: int) -> None:
    sizes = (100, 200, 500, 200)
    found = split_of([1, 2, 3, 4] * 100, sizes, seed=seed)
    label = np.random.default_rng(1).choice(2, size=1000, p=(0.6, 0.4))
    for name, size in zip(PARTS, sizes, strict=True):
        assert [found[name, c] for c in (0, 1)] == pytest.approx([size * (label == c).mean() for c in (0, 1)], abs=4)
    assert found["stock", 0] + found["stock", 1] >= 100


@pytest.mark.parametrize("seed", range(20))
def test_the_stock_has_enough_for_the_shots(seed: int) -> None:
    """Forty groups of five, and a size that is no multiple of it."""
    found = split_of([5] * 40, (64, 34, 68, 34), seed=seed)
    sizes = [found[name, 0] + found[name, 1] for name in PARTS]
    assert sizes[0] >= 64
    assert sizes == pytest.approx([64, 34, 68, 34], abs=6)


def test_every_part_gets_a_group_where_there_are_just_enough() -> None:
    found = split_of([10, 10, 10, 10], (10, 10, 10, 10))
    assert [found[name, 0] + found[name, 1] for name in PARTS] == [10, 10, 10, 10]


def test_texts_without_a_group_are_groups_of_their_own() -> None:
    parts = group_split("t", [""] * 40, np.arange(40) % 2, dict(zip(PARTS, (10, 10, 10, 10), strict=True)), rng())
    assert [len(rows) for rows in parts.values()] == [10, 10, 10, 10]
    assert [len(set(rows.tolist())) for rows in parts.values()] == [10, 10, 10, 10]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("groups", "largest"), [([95, *[1] * 5], "'author 0', has 95 of 100"), ([40, 30, 30], "'author 0', has 40 of 100")]
)
def test_groups_that_are_too_large(groups: list[int], largest: str) -> None:
    with pytest.raises(UserError, match=rf"^t: {len(groups)} groups are too few or too large .* {largest} texts$"):
        split_of(groups, (25, 25, 25, 25))


def table_of(name: str, texts: int, authors: int, group: str = "author") -> str:
    rows = [f"{name} {n},{('pos', 'neg')[n // 2 % 2]},Dr. {name} {n % authors}" for n in range(texts)]
    return "\n".join([f"text,label,{group}", *rows]) + "\n"


def task_of(own: OwnTask, keys: str = "", shop: str = "shop.csv", columns: str = "group = 'author'") -> Task:
    domains = f"[domains]\nclinic = 'clinic.csv'\nshop = '{shop}'\nother = 'other.csv'\n[columns]\n{columns}\n"
    return make(str(own.write("task.toml", f"target = 'clinic'\nshots = 20\n{keys}\n{domains}")))


def authors_of(*numbers: int, task: Task) -> list[set[str]]:
    parts = [task.train, task.dev, task.select, task.test, *task.sources.values()]
    return [set(parts[n].group or ()) - {""} for n in numbers]


@pytest.fixture
def clinic(own: OwnTask) -> OwnTask:
    """A hundred texts of thirty authors, who write in the shop too, and a source that knows no authors."""
    own.write("clinic.csv", table_of("visit", 100, 30))
    own.write("shop.csv", table_of("shoe", 40, 20).replace("Dr. shoe", "DR.  Visit"))
    own.csv("other.csv", [("a film", "pos"), ("a book", "neg")])
    return own


@pytest.mark.parametrize("seed", range(5))
def test_no_group_stands_on_two_sides(clinic: OwnTask, seed: int) -> None:
    task = task_of(clinic, f"seed = {seed}")
    sides = authors_of(0, 1, 2, 3, task=task)
    assert [one & other for one, other in combinations(sides, 2)] == [set()] * 6
    (shop,) = authors_of(4, task=task)
    held_out = set.union(*sides[1:])
    assert shop == {f"dr.visit{n}" for n in range(20)} - held_out
    assert len(task.sources["shop"]) + task.found["shop"].grouped == 40
    assert task.found["shop"].grouped == 2 * len({f"dr.visit{n}" for n in range(20)} & held_out)
    assert len(task.sources["other"]) == 2
    assert len(task.train) == 20


def test_groups_of_given_test_and_dev_texts_are_nowhere_else(clinic: OwnTask) -> None:
    """Authors 0 and 1 write test texts, 1 and 2 dev texts."""
    clinic.write("test.csv", "text,label,author\nfirst,pos,dr. visit 0\nsecond,neg,dr. visit 1\n")
    clinic.write("dev.csv", "text,label,author\nthird,pos,dr. visit 1\nfourth,neg,dr. visit 2\n")
    task = task_of(clinic, "test = 'test.csv'\ndev = 'dev.csv'")
    assert (task.test.text, task.dev.text) == (("first", "second"), ("fourth",))
    train, select, shop = authors_of(0, 2, 4, task=task)
    assert not {f"dr.visit{n}" for n in range(3)} & (train | select | shop)
    assert (task.found["clinic dev"].grouped, task.found["clinic"].grouped) == (1, 12)


def test_a_text_can_be_its_group(clinic: OwnTask) -> None:
    """All pairs with the same second text stand on one side."""
    rows = [f"left {n},{('pos', 'neg')[n // 2 % 2]},Claim {n % 25}" for n in range(100)]
    clinic.write("clinic.csv", "\n".join(["text,label,claim", *rows]) + "\n")
    for name in ("shop", "other"):
        clinic.write(f"{name}.csv", f"text,label,claim\n{name} a,pos,claim 1\n{name} b,neg,claim 99\n")
    task = task_of(clinic, columns="pair = 'claim'\ngroup = 'claim'")
    sides = [set(texts.pair or ()) for texts in (task.train, task.dev, task.select, task.test)]
    assert [one & other for one, other in combinations(sides, 2)] == [set()] * 6
    held_out = {text.casefold() for side in sides[1:] for text in side}
    assert ("claim 1" in (task.sources["shop"].pair or ())) == ("claim 1" not in held_out)


def test_groups_do_not_change_what_has_none(clinic: OwnTask) -> None:
    named = table_of("visit", 100, 30)
    clinic.write("clinic.csv", named)
    plain = task_of(clinic, columns="label = 'label'")
    clinic.write("clinic.csv", "\n".join(line.rpartition(",")[0] + "," for line in named.splitlines()[1:]))
    clinic.write("clinic.csv", "text,label,author\n" + (clinic.folder / "clinic.csv").read_text())
    empty = task_of(clinic)
    assert (empty.train.text, empty.dev.text, empty.test.text) == (plain.train.text, plain.dev.text, plain.test.text)


def test_the_target_needs_the_column_and_a_source_does_not(clinic: OwnTask) -> None:
    clinic.write("clinic.csv", table_of("visit", 100, 30, group="writer"))
    with pytest.raises(UserError, match=r"unknown column of .*clinic\.csv 'author': valid are text, label, writer"):
        task_of(clinic)


def test_a_source_of_held_out_groups_alone(clinic: OwnTask) -> None:
    clinic.write("test.csv", "text,label,author\nfirst,pos,dr. visit 0\nsecond,neg,dr. visit 1\n")
    clinic.write("one.csv", "text,label,author\nthird,pos,dr. visit 1\n")
    with pytest.raises(UserError, match=r"the source shop stands in clinic .* or shares a group with its splits$"):
        task_of(clinic, "test = 'test.csv'", shop="one.csv")


@pytest.mark.parametrize("columns", ["group = 'label'", "split = 'part'\ngroup = 'part'"])
def test_groups_are_neither_labels_nor_splits(clinic: OwnTask, columns: str) -> None:
    with pytest.raises(UserError, match=r"group = '(label|part)' is the column of labels or splits"):
        task_of(clinic, columns=columns)
