"""Groups of texts that must not stand on two sides: those of one author, of one document, about one hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from l2a_gym.errors import UserError, brief
from l2a_gym.tasks.splits import PARTS, Rows
from l2a_gym.tasks.task import Texts


def groups_of(parts: Iterable[Texts]) -> set[str]:
    """The groups that have a text in some parts."""
    return {name for texts in parts for name in texts.group or () if name}


def without(texts: Texts, groups: set[str]) -> Texts:
    """The texts of other groups."""
    return texts.take([row for row, name in enumerate(texts.group or [""] * len(texts)) if name not in groups])


def keep_apart(parts: Mapping[str, Texts]) -> dict[str, Texts]:
    """Each part without the groups that an earlier part has."""
    apart: dict[str, Texts] = {}
    for name, texts in parts.items():
        apart[name] = without(texts, groups_of(apart.values()))
    return apart


def group_split(
    where: str, group: Sequence[str], label: Rows, sizes: Mapping[str, int], rng: np.random.Generator
) -> dict[str, Rows]:
    """Split texts by whole groups, as near to the sizes and to the classes' shares as a greedy pass gets.

    The largest group goes first, each to the part that lacks most of its classes. The shots need all of the stock's
    size and every class: where it gets less, the pass is repeated with more asked for it.

    Args:
        where: what an error begins with.
        group: the n groups of the texts; a text without a name is a group of its own.
        label: (n,) the class of each text.
        sizes: the size of each of :data:`~l2a_gym.tasks.splits.PARTS`, n in all.
        rng: of the order of groups of one size.

    Raises:
        UserError: a part would get less than half of its size, or the stock less than all or not every class.
    """
    numbers: dict[str | int, int] = {}
    code = np.array([numbers.setdefault(name or row, len(numbers)) for row, name in enumerate(group)])
    count = np.zeros((len(numbers), label.max() + 1), dtype=np.int64)
    np.add.at(count, (code, label), 1)
    shuffled = rng.permutation(len(count))
    order = shuffled[np.argsort(-count[shuffled].sum(1), kind="stable")]
    wanted = np.array([sizes[name] for name in PARTS])
    for more in (0, *(2**power for power in range(len(label).bit_length()))):
        share = count.sum(0) / len(label)
        part = _assign(count, order, np.outer(wanted + more * (np.arange(len(PARTS)) == 0), share))
        got = np.array([count[part == i].sum(0) for i in range(len(PARTS))])
        if got[0].sum() >= wanted[0] and (got[0] > 0)[share > 0].all() and (2 * got.sum(1) >= wanted).all():
            return {name: rng.permutation(np.flatnonzero(part[code] == i)) for i, name in enumerate(PARTS)}
    largest = order[0]
    name = next(name for name, number in numbers.items() if number == largest)
    raise UserError(
        f"{where}: {len(count)} groups are too few or too large for its splits: the largest, {brief(str(name))}, has "
        f"{count[largest].sum()} of {len(label)} texts"
    )


def _assign(count: Rows, order: Rows, need: NDArray[np.float64]) -> Rows:
    """The part of each group, from its texts by class; ``need``, by part and class, is what remains to be given."""
    part = np.full(len(count), -1)
    parts = np.flatnonzero(need.sum(1) > 0).tolist()
    empty = list(parts)
    for place, group in enumerate(order):
        gain = need @ count[group]
        best = max(empty if len(order) - place <= len(empty) else parts, key=gain.__getitem__)
        part[group] = best
        need[best] -= count[group]
        empty = [each for each in empty if each != best]
    return part
