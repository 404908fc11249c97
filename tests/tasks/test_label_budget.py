"""A budget of labels: everything that is read before the test is inside of it, and nothing else changes a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.files import make
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

LABELS = ("bad", "good", "odd")
TEXTS = 150


def first_labels() -> list[str]:
    """A fifth is odd."""
    return [LABELS[(0, 1, 0, 1, 2)[n % 5]] for n in range(TEXTS)]


def write(own: OwnTask, labels: list[str], later: list[str]) -> None:
    """The texts of the clinic, by thirty authors, and later ones for a test file."""
    lines = [f"visit {n},{label},author {n % 30}" for n, label in enumerate(labels)]
    own.write("clinic.csv", "\n".join(["text,label,author", *lines]))
    lines = [f"later {n},{label},author {n + 90}" for n, label in enumerate(later)]
    own.write("later.csv", "\n".join(["text,label,author", *lines]))
    own.csv("shop.csv", [(f"shoe {n}", LABELS[n % 3]) for n in range(60)])


def task_of(own: OwnTask, keys: str, columns: str = "") -> Task:
    domains = f"[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n[columns]\n{columns}\n"
    toml = f"target = 'clinic'\nnoise = 0.3\nlabels = ['bad', 'good', 'odd']\n{keys}\n{domains}"
    return make(str(own.write("task.toml", toml)))


def rows_of(*parts: Texts) -> list[tuple[str, int]]:
    return [row for texts in parts for row in zip(texts.text, texts.label.tolist(), strict=True)]


KINDS = {
    "test drawn": ("labels_total = 60", ""),
    "test given": ("labels_total = 60\ntest = 'later.csv'", ""),
    "groups": ("labels_total = 60", "group = 'author'"),
    "groups and test given": ("labels_total = 60\ntest = 'later.csv'", "group = 'author'"),
}


@pytest.mark.parametrize(("keys", "columns"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_labels_outside_of_the_budget_change_nothing(own: OwnTask, keys: str, columns: str, seed: int) -> None:
    labels, later = first_labels(), [LABELS[n % 3] for n in range(30)]
    write(own, labels, later)
    keys = f"{keys}\nseed = {seed}"
    task = task_of(own, keys, columns)
    inside = {int(text.split()[1]) for text in (*task.train.text, *task.dev.text)}
    rng = np.random.default_rng(seed)
    changed = [label if n in inside else str(rng.choice(LABELS)) for n, label in enumerate(labels)]
    assert sum(one != other for one, other in zip(labels, changed, strict=True)) > 20
    write(own, changed, [str(label) for label in rng.permutation(later)])
    again = task_of(own, keys, columns)
    for part in ("train", "dev", "select"):
        assert rows_of(getattr(again, part)) == rows_of(getattr(task, part))
    assert rows_of(again.sources["shop"]) == rows_of(task.sources["shop"])
    assert again.flipped["shop"].tolist() == task.flipped["shop"].tolist()
    assert again.test.text == task.test.text
    assert rows_of(again.test) != rows_of(task.test)


@pytest.mark.parametrize(("keys", "columns"), KINDS.values(), ids=KINDS)
def test_train_and_dev_are_the_budget(own: OwnTask, keys: str, columns: str) -> None:
    write(own, first_labels(), [LABELS[n % 3] for n in range(30)])
    task = task_of(own, keys, columns)
    assert rows_of(task.select) == rows_of(task.dev)
    assert not set(task.train.text) & set(task.dev.text)
    assert len({*task.train.text, *task.dev.text}) == task.labels_used == 60
    assert not set(task.test.text) & {*task.train.text, *task.dev.text}
    assert len(task.test) == 30 if "test =" in keys else len(task.test) <= TEXTS - 60
    apart = 0 if columns == "" else 5  # whole groups of five
    halves = [np.bincount(texts.label, minlength=3) for texts in (task.train, task.dev)]
    assert halves[0] == pytest.approx(halves[1], abs=1 + apart)
    assert len(task.train) == pytest.approx(30, abs=apart)
    if columns:
        assert not set(task.train.group or ()) & set(task.dev.group or ())


def test_without_a_test_file_all_others_are_test(own: OwnTask) -> None:
    write(own, first_labels(), ["bad"])
    assert len(task_of(own, "labels_total = 60").test) == TEXTS - 60


def test_shots_can_be_given_too(own: OwnTask) -> None:
    write(own, first_labels(), ["bad"])
    task = task_of(own, "labels_total = 60\nshots = 45")
    assert (len(task.train), len(task.dev), task.labels_used) == (45, 15, 60)


@pytest.mark.parametrize("target", ["nyt", "movie"])
def test_ids_with_a_budget_share_sources_and_test_with_the_others(target: str) -> None:
    task, noisy = make_task(f"hutto/{target}-128all"), make_task(f"hutto/{target}-128all-noise40")
    usual, stock = make_task(f"hutto/{target}-64-noise40"), make_task(f"hutto/{target}-256").train
    assert rows_of(task.test) == rows_of(usual.test)
    assert rows_of(*noisy.sources.values()) == rows_of(*usual.sources.values())
    assert (len(task.train), len(task.dev), task.labels_used, usual.labels_used) == (64, 64, 128, 64 + 512 + 256)
    assert rows_of(task.select) == rows_of(task.dev) == rows_of(noisy.dev)
    assert set(rows_of(task.train, task.dev)) < set(rows_of(stock))
    assert task.train.label.sum() == pytest.approx(task.dev.label.sum(), abs=1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("labels_total = 150", "labels_total = 150: at most 149 of 150 different texts can be labelled"),
        ("labels_total = 151\ntest = 'later.csv'", "labels_total = 151: at most 150 of 150 different texts"),
        ("labels_total = 5", "2 shots out of labels_total = 5: from 3 (a text a class) to 4 can be given"),
        (
            "labels_total = 20\nshots = 20",
            "20 shots out of labels_total = 20: from 3 (a text a class) to 19 can be given",
        ),
        ("labels_total = 20\ndev = 'later.csv'", "labels_total counts the labels of dev, so dev can't be given"),
        ("labels_total = 3", "labels_total = 3 is out of range"),
        ("", "the key 'shots' is missing, or 'labels_total'"),
    ],
)
def test_mistakes(own: OwnTask, keys: str, message: str) -> None:
    write(own, first_labels(), ["bad", "good"])
    with pytest.raises(UserError) as caught:
        task_of(own, keys)
    assert str(caught.value).startswith(f"{own.folder}/task.toml: {message}")


def test_a_class_that_the_budget_misses(own: OwnTask) -> None:
    labels = ["bad", "good"] * 74 + ["odd", "odd"]
    write(own, labels, ["bad"])
    with pytest.raises(
        UserError, match=r"of the 8 texts drawn for labels_total, 0 have the class 'odd', which needs 2: "
    ):
        task_of(own, "labels_total = 8")
