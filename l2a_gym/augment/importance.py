"""How much likelier texts are among the target's shots than in the pool, by counts of their pieces.

Shots are few. So that a piece that none of them holds counts the same however rare it is, the target's distribution is
in both measures half that of the shots, half the pool's: each n-gram of a text then has at least half of the pool's
probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

BUCKETS = 10_000
"""Into so many are n-grams hashed."""
AT_ONCE = 2**14
"""Texts whose n-grams are held at a time."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Floats = NDArray[np.float64]


class Pieces(NamedTuple):
    """Token ids of n texts.

    Attributes:
        ids: (n, L), padded.
        length: (n,) tokens of each text, at least two: special tokens are among them.
    """

    ids: NDArray[np.integer]
    length: NDArray[np.integer]


def log_importance(pool: Pieces, shots: Pieces) -> Floats:
    """Log importance ratio of each text of the pool, per n-gram, after DSIR (Xie et al., 2023).

    A text's n-grams are its pieces and its pairs of neighbours, hashed into :data:`BUCKETS`. With t and q the
    buckets' shares among the n-grams of the shots and of the pool, and p = (t + q) / 2:

        mean over the text's n-grams of ln(p / q)

    DSIR takes the sum. The mean does not grow with the text's length.

    Returns:
        (n,), -ln 2 for a text that shares no bucket with the shots.
    """
    t, q = _shares(shots), _shares(pool)
    ratio = np.log((t / np.maximum(q, np.finfo(np.float64).tiny) + 1) / 2)
    return _text_means(pool, _buckets, lambda buckets: ratio[buckets])


def cross_entropy_difference(pool: Pieces, shots: Pieces) -> Floats:
    """Cross-entropy of each text of the pool under a model of the shots less that under one of the pool.

    After Moore and Lewis (2010); the lower, the more a text is like the shots. With c the counts of a corpus of m
    pieces, a piece w after v has

        S(w | v) = (c(v w) / c(v) + c(w) / m) / 2,   c(w) / m where v has no successor

    By the pool it has Q = S of the pool, by the shots P = (S of the shots + Q) / 2:

        mean over the text's pairs (v, w) of ln Q(w | v) - ln P(w | v)

    Returns:
        (n,), at most ln 2.
    """
    size = 1 + int(max(pool.ids.max(), shots.ids.max()))
    target, general = _bigram_model(shots, size), _bigram_model(pool, size)

    def difference(pairs: NDArray[np.int64]) -> Floats:
        return -np.log((target(*pairs) / general(*pairs) + 1) / 2)

    return _text_means(pool, _pairs, difference)


def _parts(texts: Pieces) -> Iterator[Pieces]:
    """The texts, :data:`AT_ONCE` at a time."""
    return (
        Pieces(texts.ids[start : start + AT_ONCE].astype(np.int64), texts.length[start : start + AT_ONCE])
        for start in range(0, len(texts.ids), AT_ONCE)
    )


def _text_means(
    texts: Pieces,
    split: Callable[[Pieces], tuple[NDArray[np.int64], NDArray[np.int64]]],
    value: Callable[[NDArray[np.int64]], Floats],
) -> Floats:
    """Mean value of what each text is split into."""
    means = []
    for part in _parts(texts):
        units, text = split(part)
        sums = np.bincount(text, weights=value(units), minlength=len(part.ids))
        means.append(sums / np.bincount(text, minlength=len(part.ids)))
    return np.concatenate(means)


def _pairs(texts: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of neighbours (2, P), and the text (P,) of each."""
    text, position = np.nonzero(np.arange(1, texts.ids.shape[1]) < texts.length[:, None])
    return np.stack([texts.ids[text, position], texts.ids[text, position + 1]]), text


def _buckets(texts: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Buckets of all n-grams, and the text of each."""
    (first, second), of_pair = _pairs(texts)
    of_piece, position = np.nonzero(np.arange(texts.ids.shape[1]) < texts.length[:, None])
    keys = np.concatenate([texts.ids[of_piece, position] + 1, (first + 1) * 2**32 + second + 1]).astype(np.uint64)
    hashed = (keys * MULTIPLIER >> np.uint64(32)) % np.uint64(BUCKETS)  # wraps around 2**64
    return hashed.astype(np.int64), np.concatenate([of_piece, of_pair])


def _shares(texts: Pieces) -> Floats:
    """Each bucket's share of all n-grams."""
    counts = sum(np.bincount(_buckets(part)[0], minlength=BUCKETS) for part in _parts(texts))
    return np.asarray(counts / np.sum(counts))


def _bigram_model(texts: Pieces, size: int) -> Callable[[NDArray[np.int64], NDArray[np.int64]], Floats]:
    """S of :func:`cross_entropy_difference`, of a vocabulary of so many pieces."""
    pairs, single = csr_matrix((size, size)), np.zeros(size)
    for part in _parts(texts):
        (first, second), _ = _pairs(part)
        pairs += csr_matrix((np.ones(len(first)), (first, second)), shape=(size, size))
        single += np.bincount(part.ids[np.arange(part.ids.shape[1]) < part.length[:, None]], minlength=size)
    before = np.asarray(pairs.sum(1)).ravel()
    share, weight = single / single.sum(), (before > 0) / 2

    def probability(first: NDArray[np.int64], second: NDArray[np.int64]) -> Floats:
        follows = np.asarray(pairs[first, second]).ravel() / np.maximum(before[first], 1)
        return weight[first] * follows + (1 - weight[first]) * share[second]

    return probability
