"""Where candidates stand between their own domain and the target, by sentence vectors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

AT_ONCE = 2**16
"""Vectors that are widened to float32 at a time."""
FITTED = 2**15
"""Source texts, at most, that the classifier of domains is fitted on."""

Floats = NDArray[np.float32]


def nearness(
    vectors: NDArray[np.float16], target: Floats, domain: NDArray[np.int64], operator: NDArray[np.int64]
) -> dict[str, NDArray[np.floating]]:
    """The signals of n candidates of D domains.

    Domains are judged by their texts as they are: walks from a source may have come to look like the target.

    Args:
        vectors: (n, H) of the candidates; may lie on disk.
        target: (m, H) of the target's texts.
        domain: (n,) from 0, the target, to D - 1.
        operator: (n,) 0 for source texts as they are, of which every domain but the target has some.

    Returns:
        ``similarity`` (n,) in [-1, 1], cosine with the target's mean, both less the candidates' mean; ``log_odds``
        (n,) of the target against the sources, by a logistic regression; ``distance`` (D,) in [0, 2], 1 - cosine of a
        domain's mean with the target's.
    """
    source = operator == 0
    centre, goal = _mean(vectors, np.ones(len(vectors), dtype=np.bool_)), target.mean(0)
    means = [goal, *(_mean(vectors, source & (domain == d)) for d in range(1, int(domain.max()) + 1))]
    classifier = _classifier(vectors, target, np.flatnonzero(source))
    similarity, log_odds = zip(
        *((_cosine(part - centre, goal - centre), classifier.decision_function(part)) for part in _parts(vectors)),
        strict=True,
    )
    return {
        "similarity": np.concatenate(similarity),
        "log_odds": np.concatenate(log_odds),
        "distance": np.array([1 - _cosine(mean[None], goal)[0] for mean in means]),
    }


def _parts(vectors: NDArray[np.float16]) -> Iterator[Floats]:
    return (vectors[start : start + AT_ONCE].astype(np.float32) for start in range(0, len(vectors), AT_ONCE))


def _mean(vectors: NDArray[np.float16], chosen: NDArray[np.bool_]) -> Floats:
    starts = range(0, len(vectors), AT_ONCE)
    sums = [part[chosen[start : start + AT_ONCE]].sum(0) for start, part in zip(starts, _parts(vectors), strict=True)]
    mean: Floats = np.sum(sums, axis=0) / int(chosen.sum())
    return mean


def _classifier(vectors: NDArray[np.float16], target: Floats, sources: NDArray[np.int64]) -> LogisticRegression:
    spread = np.linspace(0, len(sources) - 1, min(FITTED, len(sources))).round().astype(np.int64)
    texts = np.concatenate([target, vectors[sources[spread]].astype(np.float32)])
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    return classifier.fit(texts, np.arange(len(texts)) < len(target))


def _cosine(rows: Floats, vector: Floats) -> Floats:
    """Cosines (n,); 0 with a vector of zeros, as where all texts are the same to the tokenizer."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    cosine: Floats = np.divide(rows @ vector, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return cosine
