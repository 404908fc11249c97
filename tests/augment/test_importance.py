"""Importance and cross-entropy difference against counts in plain Python."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l2a_gym.augment.importance import Pieces, cross_entropy_difference, log_importance

Texts = list[list[int]]


def pieces(texts: Texts, width: int = 0, padding: int = 0) -> Pieces:
    width = max(width, *map(len, texts))
    ids = [[*text, *[padding] * (width - len(text))] for text in texts]
    return Pieces(np.array(ids, dtype=np.int32), np.array([len(text) for text in texts]))


def made_up(n: int, seed: int, pieces: int = 30) -> Texts:
    """Texts of two to nine pieces, frequent ones and rare ones."""
    random = np.random.default_rng(seed)
    return [(random.integers(pieces, size=random.integers(2, 10)) ** 2 // pieces).tolist() for _ in range(n)]


POOL, SHOTS = made_up(60, 0), made_up(8, 1, pieces=20)


def bucket(*ngram: int) -> int:
    key = ngram[0] + 1 if len(ngram) == 1 else (ngram[0] + 1) * 2**32 + ngram[1] + 1
    return (key * 0x9E3779B97F4A7C15 % 2**64 >> 32) % 10_000


def buckets(text: list[int]) -> list[int]:
    return [bucket(w) for w in text] + [bucket(v, w) for v, w in pairwise(text)]


def brute_importance(pool: Texts, shots: Texts) -> list[float]:
    t, q = (Counter(b for text in texts for b in buckets(text)) for texts in (shots, pool))

    def ratio(b: int) -> float:
        own, general = t[b] / t.total(), q[b] / q.total()
        return log((own + general) / 2 / general)

    return [sum(map(ratio, buckets(text))) / len(buckets(text)) for text in pool]


def model(texts: Texts) -> Any:
    """S(w | v) of a corpus."""
    single = Counter(w for text in texts for w in text)
    pairs = Counter(pair for text in texts for pair in pairwise(text))
    before = Counter(v for text in texts for v in text[:-1])

    def probability(v: int, w: int) -> float:
        share = single[w] / single.total()
        return (pairs[v, w] / before[v] + share) / 2 if before[v] else share

    return probability


def brute_difference(pool: Texts, shots: Texts) -> list[float]:
    target, general = model(shots), model(pool)

    def difference(text: list[int]) -> float:
        pairs = list(pairwise(text))
        by_shots = -sum(log((target(*pair) + general(*pair)) / 2) for pair in pairs) / len(pairs)
        by_pool = -sum(log(general(*pair)) for pair in pairs) / len(pairs)
        return by_shots - by_pool

    return list(map(difference, pool))


MEASURES = [(log_importance, brute_importance), (cross_entropy_difference, brute_difference)]


@pytest.mark.parametrize(("measure", "brute"), MEASURES)
def test_it_is_what_counting_one_by_one_gives(measure: Any, brute: Any) -> None:
    found = measure(pieces(POOL), pieces(SHOTS))
    np.testing.assert_allclose(found, brute(POOL, SHOTS), atol=1e-12)
    assert found.std() > 0.05


def test_values_of_two_texts_by_hand() -> None:
    pool, shots = pieces([[1, 2], [3, 4]]), pieces([[1, 2]])
    # each n-gram of the first text: 1/3 of those of the shots, 1/6 of the pool's; of the second: none of the shots'
    np.testing.assert_allclose(log_importance(pool, shots), [log(3 / 2), log(1 / 2)], atol=1e-12)
    # 2 after 1: (1 + 1/4) / 2 by the pool, (1 + 1/2) / 2 by the shots alone; 4 after 3 is unknown to the shots
    expected = [log(5 / 8) - log((3 / 4 + 5 / 8) / 2), log(2)]
    np.testing.assert_allclose(cross_entropy_difference(pool, shots), expected, atol=1e-12)


@pytest.mark.parametrize("measure", [log_importance, cross_entropy_difference])
class TestBoth:
    def test_shots_that_are_the_pool_tell_nothing(self, measure: Any) -> None:
        np.testing.assert_allclose(measure(pieces(POOL), pieces(POOL * 3)), 0, atol=1e-12)

    def test_the_order_of_texts_plays_no_part(self, measure: Any) -> None:
        found, order = measure(pieces(POOL), pieces(SHOTS)), np.random.default_rng(0).permutation(len(POOL))
        again = measure(pieces([POOL[i] for i in order]), pieces(SHOTS[::-1]))
        np.testing.assert_allclose(again, found[order], atol=1e-12)

    def test_padding_plays_no_part(self, measure: Any) -> None:
        found = measure(pieces(POOL), pieces(SHOTS))
        again = measure(pieces(POOL, width=20, padding=7), pieces(SHOTS, width=13, padding=50))
        np.testing.assert_allclose(again, found, atol=1e-12)

    def test_texts_are_taken_part_by_part(self, measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        found = measure(pieces(POOL), pieces(SHOTS))
        monkeypatch.setattr("l2a_gym.augment.importance.AT_ONCE", 7)
        np.testing.assert_allclose(measure(pieces(POOL), pieces(SHOTS)), found, atol=1e-12)


def test_what_shots_share_nothing_with_has_the_least_value_however_rare() -> None:
    strange: Texts = [[100, 101], [100, 101, 100, 101], [102, 103, 104]]
    pool, shots = pieces([*POOL, *strange]), pieces(SHOTS)
    importance, difference = log_importance(pool, shots), cross_entropy_difference(pool, shots)
    np.testing.assert_allclose(importance[-3:], -log(2), atol=1e-12)
    np.testing.assert_allclose(difference[-3:], log(2), atol=1e-12)
    assert importance.min() >= -log(2) - 1e-12
    assert difference.max() <= log(2) + 1e-12


def ranks_of_copies(values: NDArray[np.float64], copies: int) -> NDArray[np.int64]:
    return values.argsort().argsort()[-copies:]


def test_copies_of_the_shots_come_first() -> None:
    pool = [*POOL, *SHOTS]
    importance = log_importance(pieces(pool), pieces(SHOTS))
    difference = cross_entropy_difference(pieces(pool), pieces(SHOTS))
    assert ranks_of_copies(importance, len(SHOTS)).mean() > 0.8 * len(pool)
    assert ranks_of_copies(-difference, len(SHOTS)).mean() > 0.8 * len(pool)
