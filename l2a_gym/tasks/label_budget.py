"""A budget of labels: the target texts that somebody has to label before a task's test, dev and select included."""

from __future__ import annotations

from collections.abc import Container
from functools import partial

import numpy as np

from l2a_gym.errors import UserError
from l2a_gym.tasks.groups import group_split
from l2a_gym.tasks.splits import PER_CLASS, Split, stratified_split
from l2a_gym.tasks.task import Texts

SHOT_SHARE = 0.5
"""The share of a budget that are shots, where the task does not say how many; the others are dev."""


def spend(
    where: str,
    texts: Texts,
    labels: tuple[str, ...],
    budget: int,
    shots: int,
    given: Container[str],
    split: Split,
    rng: np.random.Generator,
) -> dict[str, Texts]:
    """Draw train, dev and test so that nothing depends on a label outside of the budget.

    Which texts are labelled is decided without a look at any label. Within them, train and dev have the classes in the
    same shares; select is dev again.

    Args:
        where: the task's id, with which errors begin.
        texts: of the target.
        labels: the class names.
        budget: how many of the texts are labelled.
        shots: how many of these are train; 0: :data:`SHOT_SHARE` of them.
        given: the splits that the task has from elsewhere; without a test, all texts outside of the budget are test.
        split: how the texts are split.
        rng: of every draw.

    Raises:
        UserError: a given dev, or a budget that the texts or the classes don't suffice for.
    """
    if "dev" in given:
        raise UserError(f"{where}: labels_total counts the labels of dev, so dev can't be given: give one of them")
    shots = shots or round(SHOT_SHARE * budget)
    if not len(labels) <= shots < budget:
        limit = f"from {len(labels)} (a text a class) to {budget - 1} can be given"
        raise UserError(f"{where}: {shots} shots out of labels_total = {budget}: {limit}")
    if not budget <= (most := len(texts) - ("test" not in given)):
        raise UserError(
            f"{where}: labels_total = {budget}: at most {most} of {len(texts)} different texts can be labelled"
        )
    test = 0 if "test" in given else len(texts) - budget
    unseen = np.zeros_like(texts.label)
    rows = split(unseen, {"stock": len(texts) - test, "dev": 0, "select": 0, "test": test}, rng)
    labelled = texts.take(rng.permutation(rows["stock"])[:budget])
    for name, n in zip(labels, np.bincount(labelled.label, minlength=len(labels)), strict=True):
        if n < PER_CLASS:
            raise UserError(
                f"{where}: of the {budget} texts drawn for labels_total, {n} have the class {name!r}, which needs "
                f"{PER_CLASS}: give a larger labels_total or another seed"
            )
    halve = partial(group_split, where, labelled.group) if labelled.group else stratified_split
    halves = halve(labelled.label, {"stock": shots, "dev": budget - shots, "select": 0, "test": 0}, rng)
    train, dev = labelled.take(halves["stock"]), labelled.take(halves["dev"])
    return {"train": train, "dev": dev, "select": dev, "test": texts.take(rows["test"])}
