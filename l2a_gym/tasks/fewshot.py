"""From whole labelled domains to a few-shot task: deduplication, splits, shots, troubles of sources."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from l2a_gym.errors import UserError
from l2a_gym.tasks.duplicates import deduplicate
from l2a_gym.tasks.groups import group_split, groups_of, keep_apart, without
from l2a_gym.tasks.label_budget import spend
from l2a_gym.tasks.splits import PER_CLASS, Split, stratified, stratified_split
from l2a_gym.tasks.task import NO_TEXTS, Task, Texts, part_name
from l2a_gym.tasks.troubles import Trouble, Wrong, troubled

DEV, SELECT, STOCK = 512, 256, 256
"""Texts in dev and in select, and at least as many that the shots are drawn from; the test split gets the rest."""
SHARES = {"dev": 1, "select": 1, "test": 2}
"""How the splits of a small target share the texts that the shots leave."""


@dataclass(frozen=True)
class Given:
    """What a target's data give besides the texts that its splits are drawn from.

    Attributes:
        test: its test texts; None: drawn.
        dev: its dev texts; None: drawn.
        unlabelled: texts without labels, if there are any.
    """

    test: Texts | None = None
    dev: Texts | None = None
    unlabelled: Texts | None = None

    def parts(self, target: str, texts: Texts) -> dict[str, Texts]:
        """All texts of the target, by their names, in the order in which duplicates are looked for."""
        parts = {"test": self.test, "dev": self.dev, "": texts, "unlabelled": self.unlabelled}
        return {part_name(target, name): each for name, each in parts.items() if each is not None}


def few_shot_task(
    task_id: str,
    domains: Mapping[str, Texts],
    target: str,
    labels: tuple[str, ...],
    *,
    shots: int = 0,
    labels_total: int = 0,
    troubles: Mapping[str, Sequence[Trouble]] | None = None,
    source_limit: int = 4000,
    seed: int = 0,
    split: Split = stratified_split,
    given: Given = Given(),
) -> Task:
    """Cut a few-shot task out of labelled domains.

    The target is split before the shots are drawn, so that tasks that differ in shots or troubles alone share
    ``select``, ``dev`` and ``test``. In a small target, the splits hold the :data:`SHARES` of what the shots leave.

    Args:
        task_id: the id the task gets.
        domains: domain name -> all of its texts; the target is one of them.
        target: the target domain's name.
        labels: the class names.
        shots: labelled target texts to train on, class by class in the target's own shares.
        labels_total: how many target texts are labelled for train, dev and select together; 0: as many as these take.
        troubles: source -> what befalls its texts once they are drawn, one trouble after the other.
        source_limit: at most this many texts are drawn from each source, and from those without labels.
        seed: of every draw here.
        split: how the target is split, unless its texts have groups, which are not divided.
        given: splits of the target that are not drawn from ``domains``, and its texts without labels. Of texts that
            are the same, the first of test, dev, target, unlabelled and sources is kept.

    Raises:
        UserError: more shots than texts, fewer shots than classes, a class with fewer than :data:`PER_CLASS` different
            target texts, a budget of labels that does not suffice or that stands beside a given dev, a source or a
            given split of which nothing is left, or groups that are too large.
    """
    own, bare = given.parts(target, domains[target]), part_name(target, "unlabelled")
    unique, found = deduplicate({**own, **domains})
    apart = keep_apart({name: unique[name] for name in own if name != bare})
    pool = apart[target]
    fixed = {name: apart[part] for name in SHARES if (part := part_name(target, name)) in apart}
    if not all(map(len, fixed.values())):
        raise UserError(f"{task_id}: every dev text of {target} stands in its test texts or shares a group with one")
    if pool.group:
        split = partial(group_split, f"{task_id}: {target}", pool.group)
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2 + len(domains))]
    if labels_total:
        drawn = spend(task_id, pool, labels, labels_total, shots, fixed, split, streams[0])
    else:
        _check_counts(task_id, target, pool, labels, shots, len(SHARES) - len(fixed))
        rows = split(pool.label, split_sizes(len(pool), shots, fixed), streams[0])
        drawn = {name: pool.take(index) for name, index in rows.items()}
        drawn["train"] = drawn["stock"].take(stratified(drawn["stock"].label, shots, streams[1]))
    splits = drawn | fixed
    held_out = groups_of(splits[name] for name in SHARES)
    kept = {name: without(unique[name], held_out) for name in domains if name != target}
    for name, texts in kept.items():
        if not len(texts):
            reason = " or shares a group with its splits" if len(unique[name]) else ""
            place = f"{target} or in an earlier source{reason}"
            raise UserError(f"{task_id}: every text of the source {name} stands in {place}")
    if bare in unique and not len(unique[bare]):
        raise UserError(f"{task_id}: every text of {bare} stands in {target}, its test and dev included")
    sources, flipped = _draw_sources(task_id, kept, source_limit, troubles or {}, labels, streams[3:])
    after = unique | apart | kept
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
        unlabelled=_limited(unique.get(bare, NO_TEXTS), source_limit, streams[2]),
        found={name: replace(each, grouped=len(unique[name]) - len(after[name])) for name, each in found.items()},
    )


def _draw_sources(
    task_id: str,
    domains: Mapping[str, Texts],
    limit: int,
    troubles: Mapping[str, Sequence[Trouble]],
    labels: tuple[str, ...],
    streams: Sequence[np.random.Generator],
) -> tuple[dict[str, Texts], dict[str, Wrong]]:
    """At most ``limit`` texts of each source, with its troubles; and which labels of those that have any are wrong."""
    sources, wrong = {}, {}
    for rng, (name, texts) in zip(streams, domains.items(), strict=True):
        sources[name] = _limited(texts, limit, rng)
        if name in troubles:
            sources[name], wrong[name] = troubled(sources[name], troubles[name], labels, rng)
            if not len(sources[name]):
                raise UserError(f"{task_id}: no text of the source {name} is left: it lacks a class that it is to have")
    return sources, wrong


def _limited(texts: Texts, limit: int, rng: np.random.Generator) -> Texts:
    """At most ``limit`` texts, drawn, in their order."""
    return texts.take(np.sort(rng.permutation(len(texts))[:limit]))


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
