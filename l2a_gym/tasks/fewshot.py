"""From whole labelled domains to a few-shot task: deduplication, splits, shots, label noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from l2a_gym.errors import UserError
from l2a_gym.tasks.normal import normal_form
from l2a_gym.tasks.splits import Split, stratified, stratified_split
from l2a_gym.tasks.task import Found, Task, Texts

DEV, SELECT, STOCK = 512, 256, 256
"""Texts in dev and in select, and at least as many that the shots are drawn from; the test split gets the rest."""
PER_CLASS = 2
"""How many different target texts a class needs: one to learn from, one to measure on."""


def few_shot_task(
    task_id: str,
    domains: Mapping[str, Texts],
    target: str,
    labels: tuple[str, ...],
    *,
    shots: int,
    noise: float = 0.0,
    source_limit: int = 4000,
    seed: int = 0,
    split: Split = stratified_split,
) -> Task:
    """Cut a few-shot task out of labelled domains.

    The target is split before the shots are drawn, so that tasks that differ in shots or noise alone share ``select``,
    ``dev`` and ``test``. In a small target, dev and select hold a quarter each of what the shots leave.

    Args:
        task_id: the id the task gets.
        domains: domain name -> all of its texts; the target is one of them.
        target: the target domain's name.
        labels: the class names.
        shots: labelled target texts to train on, class by class in the target's own shares.
        noise: share of source labels, in [0, 1), that are replaced by another class, drawn evenly.
        source_limit: at most this many texts are drawn from each source.
        seed: of every draw here.
        split: how the target is split.

    Raises:
        UserError: more shots than texts, fewer shots than classes, a class with fewer than :data:`PER_CLASS` different
            target texts, or a source of which deduplication leaves nothing.
    """
    unique, found = deduplicate(domains, first=target)
    pool = unique[target]
    streams = np.random.SeedSequence(seed).spawn(2 + len(unique))
    if not len(labels) <= shots <= len(pool) - 3:
        limit = f"from {len(labels)} (a text a class) to {len(pool) - 3} can be given"
        raise UserError(f"{task_id}: {shots} shots of {len(pool)} different {target} texts: {limit}")
    for name, n in zip(labels, np.bincount(pool.label, minlength=len(labels)), strict=True):
        if n < PER_CLASS:
            raise UserError(f"{task_id}: needs {PER_CLASS} different {target} texts of class {name!r}, found {n}")
    rows = split(pool.label, _sizes(len(pool), shots), np.random.default_rng(streams[0]))
    train = rows["stock"][stratified(pool.label[rows["stock"]], shots, np.random.default_rng(streams[1]))]
    sources, flipped = {}, {}
    for stream, (name, texts) in zip(streams[2:], unique.items(), strict=True):
        if name == target:
            continue
        rng = np.random.default_rng(stream)
        if not len(texts):
            raise UserError(f"{task_id}: every text of the source {name} stands in {target} or in an earlier source")
        drawn = texts.take(np.sort(rng.permutation(len(texts))[:source_limit]))
        sources[name] = drawn
        if noise:
            label, flipped[name] = flip_labels(drawn.label, len(labels), noise, rng)
            sources[name] = Texts(drawn.text, label, drawn.pair)
    return Task(
        id=task_id,
        target=target,
        labels=labels,
        train=pool.take(train),
        dev=pool.take(rows["dev"]),
        select=pool.take(rows["select"]),
        test=pool.take(rows["test"]),
        sources=sources,
        flipped=flipped,
        found=found,
    )


def _sizes(texts: int, shots: int) -> dict[str, int]:
    """The sizes of a target's parts."""
    quarter = (texts - shots) // 4 or 1
    dev, select = min(DEV, quarter), min(SELECT, quarter)
    rest = texts - dev - select
    stock = max(shots, min(rest // 2, STOCK))
    return {"dev": dev, "select": select, "test": rest - stock, "stock": stock}


def deduplicate(domains: Mapping[str, Texts], first: str) -> tuple[dict[str, Texts], dict[str, Found]]:
    """Drop every text that was seen before, across all domains; ``first`` is looked through first.

    Two texts are the same when they have the same :func:`normal_form` (for pairs: both sides).

    Returns:
        What is left of each domain, and what each held before.
    """
    seen: dict[tuple[str, ...], int] = {}
    unique, found = {}, {}
    for name in (first, *(name for name in domains if name != first)):
        texts, keep, contradicting = domains[name], [], []
        for row, sides in enumerate(zip(texts.text, texts.pair or texts.text, strict=True)):
            key = tuple(map(normal_form, sides))
            if key not in seen:
                seen[key] = texts.label[row]
                keep.append(row)
            elif seen[key] != texts.label[row]:
                contradicting.append(texts.text[row])
        unique[name] = texts.take(keep)
        found[name] = Found(texts.label, len(texts) - len(keep), tuple(contradicting))
    return unique, found


def flip_labels(
    label: NDArray[np.int64], classes: int, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Replace exactly ``round(share * n)`` labels by another class; returns the labels and which were flipped."""
    flipped = np.zeros(len(label), dtype=np.bool_)
    flipped[rng.permutation(len(label))[: round(share * len(label))]] = True
    shift = rng.integers(1, classes, size=len(label))
    return np.where(flipped, (label + shift) % classes, label), flipped
