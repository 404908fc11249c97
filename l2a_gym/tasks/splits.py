"""Samples and splits that have the classes in their own shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Split = Callable[[Rows, Mapping[str, int], np.random.Generator], dict[str, Rows]]
"""From the label of each text, and the size of each part, to the rows of each part; a generator decides."""

PARTS = ("stock", "dev", "test", "select")
"""What a target is split into; where a class has few texts, its first goes to the stock, its second to dev, and so on.

The shots are drawn from the stock."""
PER_CLASS = 2
"""How many different target texts a class needs: one to learn from, one to measure on."""


def stratified_split(label: Rows, sizes: Mapping[str, int], rng: np.random.Generator) -> dict[str, Rows]:
    """Split texts so that every part has a text of every class, as far as they go, and the others in their shares.

    Args:
        label: (n,) the class of each text.
        sizes: the size of each of :data:`PARTS`, n in all; one that is smaller than the number of classes gets no text
            ahead of the others.
        rng: of every draw.
    """
    order = rng.permutation(len(label))
    by_class = [order[label[order] == c] for c in np.unique(label)]
    ahead = [name for name in PARTS if sizes[name] >= len(by_class)]
    first = {name: [rows[i] for rows in by_class if len(rows) > i] for i, name in enumerate(ahead)}
    rest = np.concatenate([rows[len(ahead) :] for rows in by_class])
    parts = {}
    for name in PARTS:
        own = np.array(first.get(name, []), dtype=np.int64)
        drawn = stratified(label[rest], sizes[name] - len(own), rng, least=0)
        parts[name] = rng.permutation(np.append(own, rest[drawn]))
        rest = np.delete(rest, drawn)
    return parts


def stratified(label: Rows, size: int, rng: np.random.Generator, least: int = 1) -> Rows:
    """Rows of a random sample of ``size`` that has the classes in the same shares as ``label``.

    Shares are rounded by largest remainder, and chance decides between equal ones.

    Args:
        label: (n,) the class of each text.
        size: of the sample, at most n and at least ``least`` a class.
        rng: of the sample.
        least: texts that every class gets.
    """
    classes, count = np.unique(label, return_counts=True)
    exact = count / max(len(label), 1) * size
    tie = rng.spawn(1)[0].random(len(classes)) * 1e-6  # of a stream of its own: the sample does not depend on it
    quota = np.maximum(exact.astype(np.int64), least)
    while quota.sum() < size:
        quota[np.argmax(np.where(quota < count, exact - quota + tie, -np.inf))] += 1
    while quota.sum() > size:
        quota[np.argmax(np.where(quota > least, quota - exact + tie, -np.inf))] -= 1
    chosen = [rng.permutation(np.flatnonzero(label == c))[:q] for c, q in zip(classes, quota, strict=True)]
    return rng.permutation(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)
