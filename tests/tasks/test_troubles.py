"""Troubles of sources: exact shares on small cases, what is recorded of them, and the keys of task files."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.fewshot import few_shot_task
from l2a_gym.tasks.files import make, outline
from l2a_gym.tasks.task import UNLABELLED, Task, Texts
from l2a_gym.tasks.troubles import Trouble, confused, inverted, one_rater, resampled, symmetric, troubled

LABELS = ("cat", "dog", "bird")
TROUBLES: dict[str, Trouble] = {
    "symmetric": partial(symmetric, 0.3),
    "confused": partial(confused, {"cat": {"dog": 0.5, "bird": 0.25}, "bird": {"cat": 1.0}}),
    "inverted": inverted,
    "resampled": partial(resampled, {"dog": 0.9}),
    "one rater": partial(one_rater, {f"pet {n}": [-2, 0, 1, 1] for n in range(100)}),
}


def pets(cats: int = 40, dogs: int = 40, birds: int = 20) -> Texts:
    label = np.repeat(np.arange(3), (cats, dogs, birds))
    return Texts(tuple(f"pet {n}" for n in range(len(label))), label)


def after(trouble: Trouble, texts: Texts, seed: int = 0) -> list[int]:
    return trouble(texts, LABELS, np.random.default_rng(seed)).tolist()


def moves(texts: Texts, given: list[int]) -> Counter[tuple[int, int]]:
    """How many texts of a class (first) have which label afterwards (second)."""
    return Counter(zip(texts.label.tolist(), given, strict=True))


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.999, 1.0])
def test_exactly_the_share_becomes_another_class(classes: int, share: float) -> None:
    texts = Texts(tuple(map(str, range(700))), np.arange(700) % classes)
    given = symmetric(share, texts, tuple(map(str, range(classes))), np.random.default_rng(3))
    assert (given != texts.label).sum() == round(share * 700)
    assert 0 <= given.min() <= given.max() < classes


def test_symmetric_noise_is_spread_evenly_over_the_other_classes() -> None:
    texts = Texts(tuple(map(str, range(9000))), np.zeros(9000, dtype=np.int64))
    given = symmetric(2 / 3, texts, ("a", "b", "c", "d"), np.random.default_rng(0))
    assert np.bincount(given) == pytest.approx([3000, 2000, 2000, 2000], abs=150)


def test_a_class_is_confused_with_others_by_exact_shares() -> None:
    texts, given = pets(), after(TROUBLES["confused"], pets())
    assert moves(texts, given) == {(0, 0): 10, (0, 1): 20, (0, 2): 10, (1, 1): 40, (2, 0): 20}
    thirds = partial(confused, {"cat": {"dog": 1 / 3, "bird": 2 / 3}})
    assert moves(pets(5), after(thirds, pets(5)))[0, 0] == 0  # shares of one in all leave no text, however they round


def test_inverted_labels_turn_round() -> None:
    assert moves(pets(), after(inverted, pets())) == {(0, 1): 40, (1, 2): 40, (2, 0): 20}
    two = Texts(("a", "b"), np.array([0, 1]))
    assert inverted(two, ("no", "yes"), np.random.default_rng(0)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("shares", "left"),
    [
        ({"dog": 0.8}, {1: 40, "others": 10}),  # others are dropped
        ({"bird": 0.1}, {2: 9, "others": 80}),  # birds are dropped: 80 / 0.9 * 0.1 = 8.9
        ({"cat": 0.5, "bird": 0.5}, {0: 20, 2: 20, "others": 0}),
        ({"cat": 0.2, "dog": 0.4}, {0: 10, 1: 20, "others": 20}),
        ({"dog": 1.0}, {1: 40, "others": 0}),
        ({"dog": 0.0}, {1: 0, "others": 60}),
        ({"cat": 0.1, "dog": 0.2, "bird": 0.7}, {0: 3, 1: 6, 2: 20, "others": 0}),
    ],
)
def test_a_resampled_source_has_the_shares_and_right_labels(
    shares: dict[str, float], left: dict[int | str, int]
) -> None:
    texts, given = pets(), after(partial(resampled, shares), pets())
    assert all(new in (old, UNLABELLED) for old, new in zip(texts.label.tolist(), given, strict=True))
    count = Counter(given)
    named: dict[int | str, int] = {LABELS.index(name): count[LABELS.index(name)] for name in shares}
    others = sum(count[code] for code in range(3) if LABELS[code] not in shares)
    assert named | {"others": others} == left


def test_a_rater_is_drawn_for_each_text() -> None:
    texts = Texts(tuple(map(str, range(8000))), np.ones(8000, dtype=np.int64))
    ratings = {text: [-3, 0, 2, 4] for text in texts.text}
    given = one_rater(ratings, texts, ("bad", "good"), np.random.default_rng(0))
    assert [(given == code).mean() for code in (0, 1, UNLABELLED)] == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_troubles_follow_the_seed_and_leave_their_texts_alone(trouble: Trouble) -> None:
    texts = pets()
    assert after(trouble, texts) == after(trouble, texts)
    assert texts.label.tolist() == pets().label.tolist()
    if trouble is not inverted:
        assert after(trouble, texts, seed=1) != after(trouble, texts)


@pytest.mark.parametrize("names", [(name,) for name in TROUBLES] + [("resampled", "symmetric", "confused")])
def test_exactly_the_labels_that_are_not_true_are_recorded(names: tuple[str, ...]) -> None:
    texts = pets()
    true = dict(zip(texts.text, texts.label.tolist(), strict=True))
    left, wrong = troubled(texts, [TROUBLES[name] for name in names], LABELS, np.random.default_rng(0))
    assert wrong.tolist() == [true[text] != code for text, code in zip(left.text, left.label.tolist(), strict=True)]
    assert UNLABELLED not in left.label
    assert wrong.any() == (names != ("resampled",))


def task_of(troubles: dict[str, list[Trouble]]) -> Task:
    names = ("home", "x", "y")
    domains = {name: Texts(tuple(f"{name} {n}" for n in range(100)), pets().label) for name in names}
    return few_shot_task("t", domains, "home", LABELS, shots=6, troubles=troubles)


def test_only_the_named_source_is_in_trouble() -> None:
    clean, task = task_of({}), task_of({"y": [partial(resampled, {"dog": 0.5}), partial(symmetric, 0.25)]})
    for part in ("train", "dev", "select", "test"):
        assert getattr(task, part).text == getattr(clean, part).text
        assert getattr(task, part).label.tolist() == getattr(clean, part).label.tolist()
    assert task.sources["x"].text == clean.sources["x"].text
    assert task.sources["x"].label.tolist() == clean.sources["x"].label.tolist()
    assert {name: (len(each), each.sum()) for name, each in task.flipped.items()} == {"y": (80, 20)}
    assert set(task.sources["y"].text) < set(clean.sources["y"].text)


def test_a_source_without_the_class_that_it_is_to_have() -> None:
    domains = {"home": pets(), "x": Texts(("a", "b"), np.array([0, 2]))}
    with pytest.raises(UserError, match=r"^t: no text of the source x is left: it lacks a class that it is to have$"):
        few_shot_task("t", domains, "home", LABELS, shots=6, troubles={"x": [partial(resampled, {"dog": 0.5})]})


HEAD = 'target = "home"\nshots = 6\n'
DOMAINS = '[domains]\nhome = "home.csv"\nfilms = "films.csv"\nbooks = "books.csv"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("home", "films", "books"):
        rows = [f"{name} {n},{LABELS[code]}" for n, code in enumerate(pets().label)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return tmp_path


def moved(task: Task, source: str) -> Counter[tuple[str, str]]:
    """How many texts of a class have which label."""
    names, texts = [LABELS[code] for code in pets().label], task.sources[source]
    given = [task.labels[code] for code in texts.label]
    pairs = [(names[int(text.split()[1])], name) for text, name in zip(texts.text, given, strict=True)]
    assert task.flipped[source].tolist() == [true != name for true, name in pairs]
    return Counter(pairs)


def test_a_task_file_names_the_troubles_of_each_source(folder: Path) -> None:
    noise = '[noise]\nfilms = { cat = { dog = 0.5 } }\nbooks = "inverted"\n[resample]\nfilms = { cat = 0.8 }\n'
    (folder / "task.toml").write_text(HEAD + f"labels = {list(LABELS)}\n" + DOMAINS + noise, encoding="utf-8")
    task = make(str(folder / "task.toml"))
    films = moved(task, "films")
    assert (films["cat", "cat"], films["cat", "dog"], films["dog", "dog"] + films["bird", "bird"]) == (20, 20, 10)
    assert moved(task, "books") == {("cat", "dog"): 40, ("dog", "bird"): 40, ("bird", "cat"): 20}
    assert outline(str(folder / "task.toml")).domains == task.domains


def test_a_number_is_noise_in_every_source(folder: Path) -> None:
    tasks = []
    for noise in ("noise = 0.2\n" + DOMAINS, DOMAINS + "[noise]\nfilms = 0.2\nbooks = 0.2\n"):
        (folder / "task.toml").write_text(HEAD + noise, encoding="utf-8")
        tasks.append(make(str(folder / "task.toml")))
    for name in ("films", "books"):
        assert tasks[0].flipped[name].sum() == 20
        assert tasks[0].sources[name].label.tolist() == tasks[1].sources[name].label.tolist()


MISTAKES = {
    "target": ("[noise]\nhome = 0.4\n", "unknown source in task.toml [noise] 'home': valid are films, books"),
    "source": ("[noise]\nfilm = 0.4\n", "unknown source in task.toml [noise] 'film': did you mean 'films'? valid are "),
    "resampled source": ("[resample]\nbook = { cat = 0.9 }\n", "in task.toml [resample] 'book': did you mean 'books'?"),
    "share": ("[noise]\nfilms = 1.5\n", "task.toml: noise.films = 1.5: valid are numbers from 0 to 1"),
    "truth": ("[noise]\nfilms = true\n", "task.toml: noise.films = True: valid are numbers from 0 to 1"),
    "share of a class": (
        "[noise]\nfilms = { cat = { dog = -0.1 } }\n",
        "task.toml: noise.films.cat.dog = -0.1: valid are numbers from 0 to 1",
    ),
    "word": ('[noise]\nfilms = "inverse"\n', "task.toml: noise.films = 'inverse': valid are 'inverted', a number"),
    "class": (
        "[noise]\nfilms = { cats = { dog = 0.1 } }\n",
        "class in task.toml: noise.films 'cats': did you mean 'cat'?",
    ),
    "other class": (
        "[noise]\nfilms = { cat = { birds = 0.1 } }\n",
        "unknown class in task.toml: noise.films.cat 'birds': did you mean 'bird'?",
    ),
    "itself": ("[noise]\nfilms = { cat = { cat = 0.1 } }\n", "task.toml: noise.films.cat.cat: a class is not"),
    "no table": ("[noise]\nfilms = { cat = 0.1 }\n", "task.toml: noise.films.cat = 0.1 is not a table of classes"),
    "too much": (
        "[noise]\nfilms = { cat = { dog = 0.6, bird = 0.5 } }\n",
        "task.toml: noise.films.cat: the shares add up to 1.1: valid are 1 or less",
    ),
    "resampled class": (
        "[resample]\nfilms = { cats = 0.9 }\n",
        "class in task.toml: resample.films 'cats': did you mean",
    ),
    "resampled share": ("[resample]\nfilms = { cat = 2 }\n", "task.toml: resample.films.cat = 2: valid are numbers"),
    "number": ("[resample]\nfilms = 0.9\n", "task.toml: resample.films = 0.9 is not a table of classes and their"),
}


@pytest.mark.parametrize("labels", [f"labels = {list(LABELS)}\n", ""], ids=["named", "found"])
@pytest.mark.parametrize(("keys", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_its_key(folder: Path, labels: str, keys: str, message: str) -> None:
    (folder / "task.toml").write_text(HEAD + labels + DOMAINS + keys, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        make(str(folder / "task.toml"))
    assert message in str(caught.value).replace(f"{folder}/", "")
