"""A target whose rows say to which split they belong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import pytest

from l2a_gym.tasks.files import make
from l2a_gym.tasks.task import Task

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

COLUMN = "[columns]\nsplit = 'part'\n"


def table_of(*parts: tuple[str, int]) -> str:
    """CSV of so many texts of each split, every second ``pos``."""
    rows = [f"{part or 'no'} {n},{('pos', 'neg')[n % 2]},{part}" for part, size in parts for n in range(size)]
    return "\n".join(["text,label,part", *rows]) + "\n"


def task_of(own: OwnTask, keys: str = "", columns: str = COLUMN) -> Task:
    toml = f"target = 'clinic'\nshots = 8\n{keys}\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n{columns}"
    return make(str(own.write("task.toml", toml)))


def splits_of(task: Task) -> dict[str, list[str]]:
    splits = {"train": task.train, "dev": task.dev, "select": task.select, "test": task.test}
    return {name: sorted({text.split()[0] for text in texts.text}) for name, texts in splits.items()}


@pytest.fixture
def shop(own: OwnTask) -> OwnTask:
    own.csv("shop.csv", [(f"shoe {n}", ("pos", "neg")[n % 2]) for n in range(10)])
    return own


def test_each_row_belongs_to_its_split(shop: OwnTask) -> None:
    shop.write("clinic.csv", table_of(("Validation", 10), ("train", 40), ("TEST", 20), ("val", 6), ("dev", 2)))
    task = task_of(shop)
    assert splits_of(task) == {
        "train": ["train"],
        "dev": ["Validation", "dev", "val"],
        "select": ["train"],
        "test": ["TEST"],
    }
    assert [len(texts) for texts in (task.train, task.dev, task.select, task.test)] == [8, 18, 32, 20]
    assert len(task.sources["shop"]) == 10


def test_without_rows_of_dev_they_are_drawn_from_train(shop: OwnTask) -> None:
    shop.write("clinic.csv", table_of(("train", 40), ("test", 20)))
    task = task_of(shop)
    assert splits_of(task) == {"train": ["train"], "dev": ["train"], "select": ["train"], "test": ["test"]}
    assert [len(texts) for texts in (task.train, task.dev, task.select, task.test)] == [8, 16, 16, 20]


def test_all_rows_of_a_source_are_used_whatever_stands_there(shop: OwnTask) -> None:
    shop.write("clinic.csv", table_of(("train", 40), ("test", 20)))
    shop.write("shop.csv", table_of(("train", 3), ("held-out", 4), ("", 2)).replace("train", "shoe"))
    assert len(task_of(shop).sources["shop"]) == 9


def test_a_file_of_test_texts_needs_no_such_column(shop: OwnTask) -> None:
    shop.write("clinic.csv", table_of(("train", 40), ("dev", 20)))
    shop.csv("later.csv", [(f"later {n}", ("pos", "neg")[n % 2]) for n in range(12)])
    assert splits_of(task_of(shop, "test = 'later.csv'")) == {
        "train": ["train"],
        "dev": ["dev"],
        "select": ["train"],
        "test": ["later"],
    }


def test_splits_of_a_saved_data_set_are_joined_unless_a_column_names_them(shop: OwnTask, tmp_path: Path) -> None:
    def saved(name: str, size: int) -> datasets.Dataset:
        rows = [{"text": f"{name} {n}", "label": ("pos", "neg")[n % 2], "part": name} for n in range(size)]
        return datasets.Dataset.from_list(rows)

    (tmp_path / "clinic.csv").unlink()
    datasets.DatasetDict({name: saved(name, 30) for name in ("train", "test")}).save_to_disk(
        str(tmp_path / "clinic.csv")
    )
    assert splits_of(task_of(shop))["test"] == ["test"]
    task = task_of(shop, columns="")
    assert {name for names in splits_of(task).values() for name in names} == {"train", "test"}
    assert sum(text.startswith("test") for text in (*task.train.text, *task.dev.text, *task.select.text)) > 0


@pytest.mark.parametrize(
    ("parts", "keys", "message"),
    [
        (
            [("train", 40), ("tset", 9)],
            "",
            "unknown split at clinic.csv line 42 'tset': did you mean 'test'? "
            "valid are train, dev, validation, valid, val, test",
        ),
        (
            [("train", 40), ("", 1)],
            "",
            "unknown split at clinic.csv line 42 '': valid are train, dev, validation, valid, val, test",
        ),
        (
            [("train", 40), ("Test", 9)],
            "test = 'shop2.csv'",
            "clinic.csv line 42 is of the split test, and task.toml names a file for it: give only one of them",
        ),
        (
            [("train", 40), ("val", 9)],
            "dev = 'shop2.csv'",
            "clinic.csv line 42 is of the split val, and task.toml names a file for it: give only one of them",
        ),
        ([("dev", 40), ("test", 9)], "", "task.toml: no row of clinic is of the split train"),
    ],
)
def test_mistakes(shop: OwnTask, parts: list[tuple[str, int]], keys: str, message: str) -> None:
    shop.write("clinic.csv", table_of(*parts))
    shop.csv("shop2.csv", [("a", "pos"), ("b", "neg")])
    toml = f"target = 'clinic'\nshots = 8\n{keys}\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n{COLUMN}"
    assert shop.message_of(toml) == message


def test_the_target_needs_the_column(shop: OwnTask) -> None:
    toml = f"target = 'clinic'\nshots = 8\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n{COLUMN}"
    assert shop.message_of(toml) == "unknown column of clinic.csv 'part': valid are text, label"
    same = toml.replace("'part'", "'label'")
    assert shop.message_of(same) == "task.toml [columns]: text, label, label must be different columns"


@pytest.mark.parametrize("key", ["text", "label"])
def test_columns_of_text_and_label_have_names(shop: OwnTask, key: str) -> None:
    toml = "target = 'clinic'\nshots = 8\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n"
    assert shop.message_of(f"{toml}[columns]\n{key} = ''\n") == f"task.toml [columns]: {key} = '' names no column"
