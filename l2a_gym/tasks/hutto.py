"""The embedded default: four domains of sentiment with human ratings, after Hutto & Gilbert (ICWSM 2014).

Ratings are the mean of 20 raters in [-4, 4]; a text is positive above 0.5, negative below -0.5 and left out between.
"""

from __future__ import annotations

import html
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np

from l2a_gym.assets import HUTTO, asset_folder
from l2a_gym.tasks.fewshot import few_shot_task, split_sizes
from l2a_gym.tasks.splits import Rows
from l2a_gym.tasks.task import Budget, Outline, Task, Texts
from l2a_gym.tasks.troubles import Trouble, confused, inverted, one_rater, resampled, symmetric

DOMAINS = {
    "nyt": "nytEditorialSnippets",
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "movie": "movieReviewSnippets",
}
LABELS = ("negative", "positive")
SHOTS = (16, 64, 256)
BUDGETS = (64, 128)
"""Labels in all of the ids that end in ``all``."""
MAX_LENGTH = 48
CLEAR = 0.5
"""Ratings nearer to zero than this are no label."""
BY_SIZE = ("movie", "tweets", "amazon", "nyt")
"""The domains, the largest first."""
NOISE40 = partial(symmetric, 0.4)
ASYM60 = partial(confused, {"negative": {"positive": 0.6}})
SHIFT = partial(resampled, {"positive": 0.92})
QUESTIONS: dict[str, tuple[Trouble | None, Trouble | None, Trouble | None]] = {
    "": (None, None, None),
    "noise40": (NOISE40, NOISE40, NOISE40),
    "asym60": (ASYM60, ASYM60, ASYM60),
    "inverted": (inverted, None, None),
    "shift": (SHIFT, SHIFT, SHIFT),
    "mixed": (NOISE40, ASYM60, inverted),
}
"""The end of an id -> the trouble of each source, the largest source first."""
CROWD = "crowd"
"""The question in which one rater labels each text of a source, ambiguous texts included."""


def ids() -> list[str]:
    """All task ids of this family: target x shots or budget of labels x question."""
    sizes = [*map(str, SHOTS), *(f"{labels}all" for labels in BUDGETS)]
    names = product(DOMAINS, sizes, [*QUESTIONS, CROWD])
    return [f"hutto/{'-'.join(filter(None, parts))}" for parts in names]


def make(task_id: str) -> Task:
    """The task of an id that :func:`ids` lists."""
    target, size, *question = task_id.removeprefix("hutto/").split("-")
    domains = _domains() if question != [CROWD] else _domains(clear=0) | {target: _domains()[target]}
    few_shot = partial(few_shot_task, task_id, domains, target, LABELS, troubles=_troubles(target, *question))
    if size.endswith("all"):
        task = few_shot(labels_total=int(size.removesuffix("all")), split=_stock_and_test)
    else:
        task = few_shot(shots=int(size), split=_shuffled)
    return replace(task, max_length=MAX_LENGTH)


def outline(task_id: str) -> Outline:
    """The domains, budget and classes of an id that :func:`ids` lists."""
    target = task_id.removeprefix("hutto/").split("-")[0]
    return Outline((target, *(name for name in DOMAINS if name != target)), Budget(), LABELS)


def _troubles(target: str, question: str = "") -> dict[str, list[Trouble]]:
    sources = [name for name in BY_SIZE if name != target]
    if question == CROWD:
        return {name: [partial(one_rater, {row.text: row.ratings for row in _rows(name)[::-1]})] for name in sources}
    return {name: [trouble] for name, trouble in zip(sources, QUESTIONS[question], strict=True) if trouble}


def _shuffled(label: Rows, sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, Rows]:
    """The splits as they were first drawn, without regard to class: an id stands for the same texts for ever."""
    order = rng.permutation(len(label))
    names = ("dev", "select", "test", "stock")
    return dict(zip(names, np.split(order, np.cumsum([sizes[name] for name in names[:-1]])), strict=True))


def _stock_and_test(label: Rows, sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, Rows]:
    """For a budget of labels: the stock and the test of the other ids, whose dev and select are not used."""
    return _shuffled(label, split_sizes(len(label), max(SHOTS)), rng)


class _Rated(NamedTuple):
    """A text with its place, the mean of its ratings, and its single ratings."""

    origin: str
    text: str
    mean: float
    ratings: list[int]


@cache
def _domains(clear: float = CLEAR) -> dict[str, Texts]:
    """The texts of each domain whose mean rating is further from zero than ``clear``."""
    rows = {name: [row for row in _rows(name) if abs(row.mean) > clear] for name in DOMAINS}
    return {
        name: Texts(
            text=tuple(row.text for row in each),
            label=np.array([row.mean > 0 for row in each], dtype=np.int64),
            origin=tuple(row.origin for row in each),
        )
        for name, each in rows.items()
    }


@cache
def _rows(domain: str) -> list[_Rated]:
    """All texts of a domain; HTML entities stand in them, in the editorials twice over."""
    ratings = {row: json.loads(written) for row, _, _, written in _lines(f"{DOMAINS[domain]}_anonDataRatings.txt", 4)}
    file = f"{DOMAINS[domain]}_GroundTruth.txt"
    return [
        _Rated(f"{file} line {number}", html.unescape(html.unescape(text)).strip(), float(mean), ratings[row])
        for number, (row, mean, text) in enumerate(_lines(file, 3), start=1)
    ]


def _lines(name: str, cells: int) -> list[list[str]]:
    """The lines of a file: id, mean rating, and then the text, or the deviation and the list of the ratings."""
    with tarfile.open(asset_folder(HUTTO) / "hutto_ICWSM_2014.tar.gz") as files:
        file = files.extractfile(f"hutto_ICWSM_2014/{name}")
        assert file is not None, name
        lines = io.TextIOWrapper(file, encoding="utf-8-sig").readlines()
    return [line.rstrip("\r\n").split("\t", cells - 1) for line in lines]
