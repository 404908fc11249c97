"""Troubles of a source: wrong labels, and classes that are rarer or more frequent than elsewhere.

A trouble is a function of texts, class names and a generator. It returns the labels (n,) that the texts have
afterwards, :data:`UNLABELLED` where a text is left out. Parameters come first and are bound by ``functools.partial``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from l2a_gym.tasks.task import UNLABELLED, Texts

Labels = NDArray[np.int64]
Wrong = NDArray[np.bool_]
Trouble = Callable[[Texts, tuple[str, ...], np.random.Generator], Labels]


def symmetric(share: float, texts: Texts, labels: tuple[str, ...], rng: np.random.Generator) -> Labels:
    """Exactly ``round(share * n)`` labels become another class, drawn evenly."""
    flipped = np.zeros(len(texts), dtype=np.bool_)
    flipped[rng.permutation(len(texts))[: round(share * len(texts))]] = True
    shift = rng.integers(1, len(labels), size=len(texts))
    return np.where(flipped, (texts.label + shift) % len(labels), texts.label)


def confused(
    shares: Mapping[str, Mapping[str, float]], texts: Texts, labels: tuple[str, ...], rng: np.random.Generator
) -> Labels:
    """Of each class named, the given shares of its n texts are called other classes: ``{"cat": {"dog": 0.6}}``.

    The sums of shares up to each of the other classes are exact: ``round(sum * n)`` texts.
    """
    given = texts.label.copy()
    for name, others in shares.items():
        rows = rng.permutation(np.flatnonzero(texts.label == labels.index(name)))
        ends = [round(share * len(rows)) for share in np.cumsum(list(others.values())).tolist()]
        for other, chosen in zip(others, np.split(rows, ends), strict=False):  # the last part keeps its label
            given[chosen] = labels.index(other)
    return given


def inverted(texts: Texts, labels: tuple[str, ...], rng: np.random.Generator) -> Labels:
    """Every label becomes the next class, and the last one the first: two classes change places."""
    return (texts.label + 1) % len(labels)


def resampled(shares: Mapping[str, float], texts: Texts, labels: tuple[str, ...], rng: np.random.Generator) -> Labels:
    """As many texts stay as can, drawn, while each class named makes up its share of them; their labels are right.

    What the shares leave of 1 goes to all other classes together, drawn without regard to class.
    """
    names = [labels[code] if labels[code] in shares else "" for code in texts.label]  # "": all other classes
    wanted = {**shares, "": 1 - sum(shares.values())}
    rows = {name: rng.permutation([i for i, each in enumerate(names) if each == name]) for name in wanted}
    size = min(len(rows[name]) / share for name, share in wanted.items() if share > TINY)
    given = np.full(len(texts), UNLABELLED)
    for name, share in wanted.items():
        kept = rows[name][: round(share * size)].astype(np.int64)
        given[kept] = texts.label[kept]
    return given


def one_rater(
    ratings: Mapping[str, Sequence[int]], texts: Texts, labels: tuple[str, ...], rng: np.random.Generator
) -> Labels:
    """The sign of one rating, drawn from those of each text, is its label; a text whose rating is 0 is left out."""
    drawn = np.array([rng.choice(ratings[text]) for text in texts.text])
    return np.select([drawn < 0, drawn > 0], [0, 1], UNLABELLED)


TINY = 1e-9
"""A share that is nothing but the rounding error of a sum."""


def troubled(
    texts: Texts, troubles: Sequence[Trouble], labels: tuple[str, ...], rng: np.random.Generator
) -> tuple[Texts, Wrong]:
    """The texts after all troubles, one after the other, and which of their labels (n,) are not those they had."""
    true = texts.label
    for trouble in troubles:
        given = trouble(texts, labels, rng)
        kept = np.flatnonzero(given != UNLABELLED)
        texts, true = replace(texts, label=given).take(kept), true[kept]
    return texts, texts.label != true
