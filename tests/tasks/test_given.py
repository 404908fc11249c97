"""A target whose data give its test and dev texts, in files of their own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from l2a_gym.tasks.fewshot import split_sizes
from l2a_gym.tasks.files import make
from l2a_gym.tasks.task import Task

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

DOMAINS = "[domains]\nclinic = 'many.csv'\nshop = 'shop.csv'\n"


def rows_of(name: str, numbers: range) -> list[tuple[object, object]]:
    """Two thirds of the texts are ``pos``, the others ``neg``."""
    return [(f"{name} {n}", ("pos", "pos", "neg")[n % 3]) for n in numbers]


def task_of(own: OwnTask, keys: str) -> Task:
    return make(str(own.write("task.toml", f"target = 'clinic'\n{keys}\n{DOMAINS}")))


def sizes_of(task: Task) -> list[int]:
    return [len(texts) for texts in (task.train, task.dev, task.select, task.test)]


@pytest.fixture
def many(own: OwnTask) -> OwnTask:
    """150 labelled texts of the clinic, 30 others for its test, and a source."""
    own.csv("many.csv", rows_of("visit", range(150)))
    own.csv("later.csv", rows_of("later visit", range(30)))
    own.csv("shop.csv", rows_of("shoe", range(30)))
    return own


def test_with_a_test_file_all_other_texts_serve_before_the_test(many: OwnTask) -> None:
    task = task_of(many, "shots = 64\ntest = 'later.csv'")
    assert sizes_of(task) == [64, 43, 43, 30]
    assert list(task.test.text) == [text for text, _ in rows_of("later visit", range(30))]
    assert {*task.train.text, *task.dev.text, *task.select.text} == {text for text, _ in rows_of("visit", range(150))}
    for texts in (task.train, task.dev, task.select):
        assert sum(texts.label) == pytest.approx(2 / 3 * len(texts), abs=1)


def test_without_one_the_test_is_drawn(many: OwnTask) -> None:
    assert sizes_of(task_of(many, "shots = 64")) == [64, 21, 21, 44]
    task = task_of(many, "shots = 64\ndev = 'later.csv'")
    assert sizes_of(task) == [64, 30, 28, 58]
    assert list(task.dev.text) == [text for text, _ in rows_of("later visit", range(30))]


@pytest.mark.parametrize(
    ("texts", "shots", "given", "sizes"),
    [
        (150, 64, ("test",), (64, 43, 43, 0)),
        (151, 64, ("test",), (65, 43, 43, 0)),  # the odd one is another that shots are drawn from
        (66, 64, ("test",), (64, 1, 1, 0)),
        (3000, 64, ("test",), (3000 - 768, 512, 256, 0)),
        (150, 64, ("dev",), (64, 0, 28, 58)),
        (150, 64, ("test", "dev"), (64, 0, 86, 0)),
        (150, 64, (), (64, 21, 21, 44)),
        (3000, 64, (), (256, 512, 256, 1976)),
    ],
)
def test_sizes(texts: int, shots: int, given: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    found = split_sizes(texts, shots, given)
    assert tuple(found[name] for name in ("stock", "dev", "select", "test")) == sizes


def test_a_text_stays_where_it_is_needed_most(many: OwnTask) -> None:
    """In test, else in dev, else in the target, else in the first source."""
    later, visits, shoes = rows_of("later visit", range(30)), rows_of("visit", range(150)), rows_of("shoe", range(30))
    many.csv("later.csv", [*later, ("LATER visit 0", "pos")])
    many.csv("dev.csv", [*later[:3], *rows_of("early visit", range(20))])
    many.csv("many.csv", [*later[:5], ("early visit 1", "neg"), *visits])
    many.csv("shop.csv", [*later[:7], ("early visit 2", "neg"), *visits[:9], *shoes])
    task = task_of(many, "shots = 64\ntest = 'later.csv'\ndev = ['dev.csv']")
    assert list(task.test.text) == [text for text, _ in later]
    assert list(task.dev.text) == [text for text, _ in rows_of("early visit", range(20))]
    assert {*task.train.text, *task.select.text} == {text for text, _ in visits}
    assert list(task.sources["shop"].text) == [text for text, _ in shoes]
    assert {name: (len(found.label), found.repeated) for name, found in task.found.items()} == {
        "clinic test": (31, 1),
        "clinic dev": (23, 3),
        "clinic": (156, 6),
        "shop": (47, 17),
    }


def test_several_files_are_joined(many: OwnTask) -> None:
    many.csv("last.csv", rows_of("last visit", range(6)))
    task = task_of(many, "shots = 64\ntest = ['later.csv', 'last.csv']")
    assert Counter(text.split()[0] for text in task.test.text) == {"later": 30, "last": 6}


def test_labels_of_a_test_file_count_where_none_are_named(many: OwnTask) -> None:
    many.csv("later.csv", [*rows_of("later visit", range(30)), ("one more", "posi")])
    with pytest.raises(ValueError, match=r"the label 'posi' at .*later.csv line 32 is hardly a class"):
        task_of(many, "shots = 64\ntest = 'later.csv'")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("test = 3", "task.toml: test = 3 is not a path or a list of paths"),
        ("dev = [3]", "task.toml: dev = [3] is neither a path nor a list of paths"),
        ("test = 'clinic.csv'", "task.toml [domains]: clinic.csv stands in clinic and again in clinic test"),
        ("test = 'none.csv'", "there is no none.csv"),
        (
            "test = 'all.csv'\ndev = 'few.csv'",
            "task.toml: every dev text of clinic stands in its test texts or shares a group with one",
        ),
        ("test = 'all.csv'", "task.toml: 4 shots of 0 different clinic texts"),
    ],
)
def test_mistakes(own: OwnTask, keys: str, message: str) -> None:
    own.csv("shop.csv", rows_of("shoe", range(9)))
    own.csv("all.csv", [(f"visit {n}", ("pos", "neg")[n % 2]) for n in range(24)])
    own.csv("few.csv", [(f"Visit {n}", ("pos", "neg")[n % 2]) for n in range(6)])
    assert own.message("shop.csv", keys).startswith(message)


def test_no_domain_is_called_like_the_test_texts(many: OwnTask) -> None:
    toml = f"target = 'clinic'\nshots = 9\ntest = 'later.csv'\n{DOMAINS}'clinic test' = 'clinic.csv'\n"
    assert many.message_of(toml) == (
        "task.toml [domains]: 'clinic test' is the name of the target's own test texts: choose another"
    )
