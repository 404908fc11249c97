"""From whole labelled domains to a few-shot task: deduplication, splits, shots, label noise."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from l2a_gym.errors import UserError
from l2a_gym.tasks.duplicates import deduplicate
from l2a_gym.tasks.groups import group_split, groups_of, without
from l2a_gym.tasks.label_budget import spend
from l2a_gym.tasks.splits import Split, stratified, stratified_split
from l2a_gym.tasks.task import Task, Texts, part_name

DEV, SELECT, STOCK = 512, 256, 256
"""Texts in dev and in select, and at least as many that the shots are drawn from; the test split gets the rest."""
SHARES = {"dev": 1, "select": 1, "test": 2}
"""How the splits of a small target share the texts that the shots leave."""
PER_CLASS = 2
"""How many different target texts a class needs: one to learn from, one to measure on."""


@dataclass(frozen=True)
class Given:
    """The splits that a target's data give; None: drawn from its other texts.

    Attributes:
        test: its test texts.
        dev: its dev texts.
    """

    test: Texts | None = None
    dev: Texts | None = None

    @property
    def splits(self) -> dict[str, Texts]:
        """The given ones by name, in the order in which duplicates are looked for."""
        return {name: texts for name, texts in (("test", self.test), ("dev", self.dev)) if texts is not None}


def few_shot_task(
    task_id: str,
    domains: Mapping[str, Texts],
    target: str,
    labels: tuple[str, ...],
    *,
    shots: int = 0,
    labels_total: int = 0,
    noise: float = 0.0,
    source_limit: int = 4000,
    seed: int = 0,
    split: Split = stratified_split,
    given: Given = Given(),
) -> Task:
    """Cut a few-shot task out of labelled domains.

    The target is split before the shots are drawn, so that tasks that differ in shots or noise alone share ``select``,
    ``dev`` and ``test``. In a small target, the splits hold the :data:`SHARES` of what the shots leave.

    Args:
        task_id: the id the task gets.
        domains: domain name -> all of its texts; the target is one of them.
        target: the target domain's name.
        labels: the class names.
        shots: labelled target texts to train on, class by class in the target's own shares.
        labels_total: how many target texts are labelled for train, dev and select together; 0: as many as these take.
        noise: share of source labels, in [0, 1), that are replaced by another class, drawn evenly.
        source_limit: at most this many texts are drawn from each source.
        seed: of every draw here.
        split: how the target is split, unless its texts have groups, which are not divided.
        given: splits of the target that are not drawn from ``domains``; no other part gets a text of theirs.

    Raises:
        UserError: more shots than texts, fewer shots than classes, a class with fewer than :data:`PER_CLASS` different
            target texts, a budget of labels that does not suffice or that stands beside a given dev, a source or a
            given split of which nothing is left, or groups that are too large.
    """
    if labels_total and given.dev is not None:
        raise UserError(f"{task_id}: labels_total counts the labels of dev, so dev can't be given: give one of them")
    fixed = {part_name(target, name): texts for name, texts in given.splits.items()}
    unique, found = deduplicate({**fixed, target: domains[target], **domains})
    held_out: dict[str, Texts] = {}
    for name in given.splits:
        held_out[name] = without(unique[part_name(target, name)], groups_of(held_out.values()))
        if not len(held_out[name]):
            raise UserError(
                f"{task_id}: every {name} text of {target} stands in its test texts or shares a group with one"
            )
    pool = without(unique[target], groups_of(held_out.values()))
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2 + len(domains))]
    if pool.group:
        split = partial(group_split, f"{task_id}: {target}", pool.group)
    if labels_total:
        drawn = spend(
            task_id,
            pool,
            labels,
            budget=labels_total,
            shots=shots,
            has_test="test" in held_out,
            split=split,
            rng=streams[0],
        )
    else:
        _check_counts(task_id, target, pool, labels, shots, len(SHARES) - len(held_out))
        rows = split(pool.label, split_sizes(len(pool), shots, held_out), streams[0])
        drawn = {name: pool.take(index) for name, index in rows.items()}
        drawn["train"] = drawn["stock"].take(stratified(drawn["stock"].label, shots, streams[1]))
    splits = drawn | held_out
    groups = groups_of(splits[name] for name in SHARES)
    sources = {name: without(unique[name], groups) for name in domains if name != target}
    kept = {target: pool, **{part_name(target, name): held_out[name] for name in given.splits}, **sources}
    found = {name: replace(each, grouped=len(unique[name]) - len(kept[name])) for name, each in found.items()}
    flipped = {}
    for rng, (name, texts) in zip(streams[3:], sources.items(), strict=True):
        if not len(texts):
            reason = " or shares a group with its splits" if found[name].grouped else ""
            raise UserError(
                f"{task_id}: every text of the source {name} stands in {target} or in an earlier source{reason}"
            )
        sources[name] = texts.take(np.sort(rng.permutation(len(texts))[:source_limit]))
        if noise:
            label, flipped[name] = flip_labels(sources[name].label, len(labels), noise, rng)
            sources[name] = replace(sources[name], label=label)
    return Task(
        id=task_id,
        target=target,
        labels=labels,
        train=splits["train"],
        dev=splits["dev"],
        select=splits["select"],
        test=splits["test"],
        sources=sources,
        flipped=flipped,
        found=found,
    )


def _check_counts(task_id: str, target: str, pool: Texts, labels: tuple[str, ...], shots: int, drawn: int) -> None:
    """Raise a :class:`UserError` unless the texts suffice for the shots, each class and a text in each drawn split."""
    if not len(labels) <= shots <= len(pool) - drawn:
        limit = f"from {len(labels)} (a text a class) to {len(pool) - drawn} can be given"
        raise UserError(f"{task_id}: {shots} shots of {len(pool)} different {target} texts: {limit}")
    for name, n in zip(labels, np.bincount(pool.label, minlength=len(labels)), strict=True):
        if n < PER_CLASS:
            raise UserError(f"{task_id}: needs {PER_CLASS} different {target} texts of class {name!r}, found {n}")


def split_sizes(texts: int, shots: int, given: Container[str] = ()) -> dict[str, int]:
    """The sizes of a target's parts; nothing is drawn for a given split, and without a test split all texts serve."""
    share = (texts - shots) // sum(share for name, share in SHARES.items() if name not in given) or 1
    dev, select = 0 if "dev" in given else min(DEV, share), min(SELECT, share)
    rest = texts - dev - select
    stock = rest if "test" in given else max(shots, min(rest // 2, STOCK))
    return {"dev": dev, "select": select, "test": rest - stock, "stock": stock}


def flip_labels(
    label: NDArray[np.int64], classes: int, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Replace exactly ``round(share * n)`` labels by another class; returns the labels and which were flipped."""
    flipped = np.zeros(len(label), dtype=np.bool_)
    flipped[rng.permutation(len(label))[: round(share * len(label))]] = True
    shift = rng.integers(1, classes, size=len(label))
    return np.where(flipped, (label + shift) % classes, label), flipped
