"""From whole labelled domains to a few-shot task: deduplication, splits, stratified shots, label noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from l2a_gym.errors import UserError
from l2a_gym.tasks.task import Task, Texts

DEV, SELECT, STOCK = 512, 256, 256
"""Texts in dev and in select, and at least as many that the shots are drawn from; the test split gets the rest."""


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
) -> Task:
    """Cut a few-shot task out of labelled domains.

    ``select``, ``dev`` and ``test`` are drawn before the shots, so that tasks that differ in shots or noise alone share
    them. In a small target, dev and select hold a quarter each of what the shots leave.

    Args:
        task_id: the id the task gets.
        domains: domain name -> all of its texts; the target is one of them.
        target: the target domain's name.
        labels: the class names.
        shots: labelled target texts to train on, class by class in the target's own shares.
        noise: share of source labels, in [0, 1), that are replaced by another class, drawn evenly.
        source_limit: at most this many texts are drawn from each source.
        seed: of every draw here.

    Raises:
        UserError: more shots than texts, fewer shots than classes, a class too rare to get a shot, or a source of which
            deduplication leaves nothing.
    """
    unique = deduplicate(domains, first=target)
    pool = unique[target]
    streams = np.random.SeedSequence(seed).spawn(2 + len(unique))
    if not len(labels) <= shots <= len(pool) - 3:
        limit = f"from {len(labels)} (a text a class) to {len(pool) - 3} can be given"
        raise UserError(f"{task_id}: {shots} shots of {len(pool)} different {target} texts: {limit}")
    quarter = (len(pool) - shots) // 4 or 1
    held_out = min(DEV, quarter)
    order = np.random.default_rng(streams[0]).permutation(len(pool))
    dev, select, rest = np.split(order, [held_out, held_out + min(SELECT, quarter)])
    test_size = len(rest) - max(shots, min(len(rest) // 2, STOCK))
    test, stock = np.split(rest, [test_size])
    if missing := set(range(len(labels))) - set(pool.label[stock].tolist()):
        lost = labels[min(missing)]
        raise UserError(f"{task_id}: the draw left no {target} text of class {lost!r} for the shots: give more of them")
    train = stock[stratified(pool.label[stock], shots, np.random.default_rng(streams[1]))]
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
        dev=pool.take(dev),
        select=pool.take(select),
        test=pool.take(test),
        sources=sources,
        flipped=flipped,
    )


def deduplicate(domains: Mapping[str, Texts], first: str) -> dict[str, Texts]:
    """Drop every text that was seen before, across all domains; ``first`` is looked through first.

    Two texts are the same when their words agree in any case and spacing (for pairs: both sides).
    """
    seen: set[tuple[str, ...]] = set()
    unique = {}
    for name in (first, *(name for name in domains if name != first)):
        texts = domains[name]
        keep = []
        for row, sides in enumerate(zip(texts.text, texts.pair or texts.text, strict=True)):
            key = tuple(" ".join(side.casefold().split()) for side in sides)
            if key not in seen:
                seen.add(key)
                keep.append(row)
        unique[name] = texts.take(keep)
    return unique


def stratified(label: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of a random sample of ``size`` that has the classes in the same shares as ``label``, at least one of each.

    Shares are rounded by largest remainder.
    """
    classes, count = np.unique(label, return_counts=True)
    exact = count / count.sum() * size
    quota = np.maximum(exact.astype(np.int64), 1)
    while quota.sum() < size:
        quota[np.argmax(np.where(quota < count, exact - quota, -np.inf))] += 1
    while quota.sum() > size:
        quota[np.argmax(np.where(quota > 1, quota - exact, -np.inf))] -= 1
    chosen = [rng.permutation(np.flatnonzero(label == c))[:q] for c, q in zip(classes, quota, strict=True)]
    return rng.permutation(np.concatenate(chosen))


def flip_labels(
    label: NDArray[np.int64], classes: int, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Replace exactly ``round(share * n)`` labels by another class; returns the labels and which were flipped."""
    flipped = np.zeros(len(label), dtype=np.bool_)
    flipped[rng.permutation(len(label))[: round(share * len(label))]] = True
    shift = rng.integers(1, classes, size=len(label))
    return np.where(flipped, (label + shift) % classes, label), flipped
