"""More texts of the target, without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from l2a_gym.preparation.texts import fingerprint, fingerprint_of_texts
from l2a_gym.tasks.files import make
from l2a_gym.tasks.task import UNLABELLED, Task

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

KEY = "unlabelled = 'more.csv'"


def task_of(own: OwnTask, keys: str = "", columns: str = "") -> Task:
    domains = f"[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n[columns]\n{columns}\n"
    return make(str(own.write("task.toml", f"target = 'clinic'\nshots = 4\n{keys}\n{domains}")))


def splits_of(task: Task) -> list[tuple[str, ...]]:
    return [task.train.text, task.dev.text, task.select.text, task.test.text]


@pytest.fixture
def shop(own: OwnTask) -> OwnTask:
    """Two texts without a label stand in the target, one stands twice, and two stand in the source."""
    own.csv("shop.csv", [(f"shoe {n}", ("pos", "neg")[n % 2]) for n in range(20)])
    more = [*(f"call {n}" for n in range(30)), "VISIT 3", "visit 4", "Call 7", "shoe 1", "shoe 2"]
    own.write("more.csv", "\n".join(["text", *more]))
    return own


def test_texts_stand_in_one_place(shop: OwnTask) -> None:
    plain, task = task_of(shop), task_of(shop, KEY)
    assert task.unlabelled.text == (*(f"call {n}" for n in range(30)), "shoe 1", "shoe 2")
    assert task.unlabelled.label.tolist() == [UNLABELLED] * 32
    assert splits_of(task) == splits_of(plain)
    assert set(plain.sources["shop"].text) - set(task.sources["shop"].text) == {"shoe 1", "shoe 2"}
    assert {name: (len(found.label), found.repeated, found.contradicting) for name, found in task.found.items()} == {
        "clinic": (24, 0, ()),
        "clinic unlabelled": (35, 3, ()),
        "shop": (20, 2, ()),
    }


def test_none_are_the_rule(shop: OwnTask) -> None:
    task = task_of(shop)
    assert (len(task.unlabelled), "clinic unlabelled" in task.found) == (0, False)


def test_they_lose_what_stands_in_a_test_file(shop: OwnTask) -> None:
    shop.csv("later.csv", [("call 5", "pos"), ("CALL 6", "neg")])
    task = task_of(shop, f"{KEY}\ntest = 'later.csv'")
    assert task.test.text == ("call 5", "CALL 6")
    assert len(task.unlabelled) == 30
    assert not {"call 5", "call 6"} & set(task.unlabelled.text)


def test_a_label_column_is_not_read(shop: OwnTask) -> None:
    reference = task_of(shop, KEY)
    lines = (shop.folder / "more.csv").read_text().splitlines()
    labels = ("label", "posi", "", "-1", "neg")
    shop.write("more.csv", "\n".join(f"{labels[n] if n < 5 else 'pos'},{line}" for n, line in enumerate(lines)))
    assert task_of(shop, KEY).unlabelled.text == reference.unlabelled.text


def test_pairs_have_both_sides(shop: OwnTask) -> None:
    rows = "\n".join(f"left {n},right {n},{n % 2}" for n in range(30))
    for name in ("clinic", "shop"):
        shop.write(f"{name}.csv", f"text,other,label\n{rows if name == 'clinic' else 'a,b,1'}")
    shop.write("more.jsonl", '{"text": "left 1", "other": "right 2"}\n{"text": "left 3", "other": "right 3"}\n')
    task = task_of(shop, "unlabelled = ['more.jsonl']", "pair = 'other'")
    assert (task.unlabelled.text, task.unlabelled.pair) == (("left 1",), ("right 2",))


def test_the_limit_of_sources_holds_by_the_seed(shop: OwnTask) -> None:
    one, same, other = (task_of(shop, f"{KEY}\nsource_limit = 10\nseed = {seed}") for seed in (1, 1, 2))
    assert len(one.unlabelled) == 10
    assert one.unlabelled.text == same.unlabelled.text
    assert set(one.unlabelled.text) != set(other.unlabelled.text)


def test_fingerprints_see_them(shop: OwnTask) -> None:
    shop.write("more.csv", "text\none\ntwo")
    one = task_of(shop, KEY)
    shop.write("more.csv", "text\none\nthree")
    other, none = task_of(shop, KEY), task_of(shop)
    for hash_of in (fingerprint, fingerprint_of_texts):
        assert len({hash_of(task) for task in (one, other, none)}) == 3


def test_all_of_them_have_a_label_elsewhere(shop: OwnTask) -> None:
    shop.write("more.csv", "text\nVISIT 3\nvisit 4")
    toml = f"target = 'clinic'\nshots = 4\n{KEY}\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n"
    message = "every text of clinic unlabelled stands in clinic, its test and dev included"
    assert shop.message_of(toml).endswith(message)


def test_a_text_that_is_empty(shop: OwnTask) -> None:
    shop.write("more.csv", 'text\none\n"\u200b"')
    toml = f"target = 'clinic'\nshots = 4\n{KEY}\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n"
    assert shop.message_of(toml) == "more.csv line 3: the text is empty"
    shop.write("more.csv", "texts\none")
    assert shop.message_of(toml) == "unknown column of more.csv 'text': did you mean 'texts'? valid are texts"
