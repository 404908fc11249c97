"""The embedded default: four domains of sentiment with human ratings, after Hutto & Gilbert (ICWSM 2014).

Ratings are the mean of 20 raters in [-4, 4]; a text is positive above 0.5, negative below -0.5 and left out between.
"""

from __future__ import annotations

import html
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import product

import numpy as np

from l2a_gym.assets import HUTTO, asset_folder
from l2a_gym.tasks.fewshot import few_shot_task, split_sizes
from l2a_gym.tasks.splits import Rows
from l2a_gym.tasks.task import Budget, Outline, Task, Texts

DOMAINS = {
    "nyt": "nytEditorialSnippets",
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "movie": "movieReviewSnippets",
}
LABELS = ("negative", "positive")
SHOTS = (16, 64, 256)
BUDGETS = (128,)
"""Labels in all of the ids that end in ``all``."""
NOISE = {"": 0.0, "-noise40": 0.4}
MAX_LENGTH = 48
CLEAR = 0.5
"""Ratings nearer to zero than this are no label."""


def ids() -> list[str]:
    """All task ids of this family: target x shots or budget of labels x noise."""
    sizes = [*map(str, SHOTS), *(f"{labels}all" for labels in BUDGETS)]
    return [f"hutto/{name}-{size}{noise}" for name, size, noise in product(DOMAINS, sizes, NOISE)]


def make(task_id: str) -> Task:
    """The task of an id that :func:`ids` lists."""
    target, size, *noise = task_id.removeprefix("hutto/").split("-")
    few_shot = partial(few_shot_task, task_id, _domains(), target, LABELS, noise=0.4 if noise else 0.0)
    if size.endswith("all"):
        task = few_shot(labels_total=int(size.removesuffix("all")), split=_stock_and_test)
    else:
        task = few_shot(shots=int(size), split=_shuffled)
    return replace(task, max_length=MAX_LENGTH)


def outline(task_id: str) -> Outline:
    """The domains and the budget of an id that :func:`ids` lists."""
    target = task_id.removeprefix("hutto/").split("-")[0]
    return Outline((target, *(name for name in DOMAINS if name != target)), Budget())


def _shuffled(label: Rows, sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, Rows]:
    """The splits as they were first drawn, without regard to class: an id stands for the same texts for ever."""
    order = rng.permutation(len(label))
    names = ("dev", "select", "test", "stock")
    return dict(zip(names, np.split(order, np.cumsum([sizes[name] for name in names[:-1]])), strict=True))


def _stock_and_test(label: Rows, sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, Rows]:
    """For a budget of labels: the stock and the test of the other ids, whose dev and select are not used."""
    return _shuffled(label, split_sizes(len(label), max(SHOTS)), rng)


@cache
def _domains() -> dict[str, Texts]:
    archive = asset_folder(HUTTO) / "hutto_ICWSM_2014.tar.gz"
    with tarfile.open(archive) as files:
        return {name: _read(files, f"hutto_ICWSM_2014/{file}_GroundTruth.txt") for name, file in DOMAINS.items()}


def _read(files: tarfile.TarFile, name: str) -> Texts:
    """Lines are ``id TAB rating TAB text``; HTML entities stand in the texts, in the editorials twice over."""
    file = files.extractfile(name)
    assert file is not None, name
    rows = [line.rstrip("\r\n").split("\t", 2) for line in io.TextIOWrapper(file, encoding="utf-8")]
    plain = [(html.unescape(html.unescape(text)).strip(), float(rating)) for _, rating, text in rows]
    clear = [(text, rating) for text, rating in plain if abs(rating) > CLEAR]
    return Texts(tuple(text for text, _ in clear), np.array([rating > 0 for _, rating in clear], dtype=np.int64))
