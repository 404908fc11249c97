"""Signals of nearness against their formulas, on vectors that are made up."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from l2a_gym.augment.nearness import nearness

N, WIDTH = 60, 4
Made = tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]


@pytest.fixture
def made() -> Made:
    """60 candidates of two sources and of shots, some of them made, and 9 texts of the target."""
    random = np.random.default_rng(0)
    domain, operator = np.repeat([1, 2, 0], 20), np.tile([0, 0, 1, 0], 15)
    operator[40:] = 2  # of the target's shots there are none as they are
    centres = random.normal(size=(3, WIDTH))
    vectors = (centres[domain] + random.normal(size=(N, WIDTH))).astype(np.float16)
    target = (centres[0] + random.normal(size=(9, WIDTH))).astype(np.float32)
    return vectors, target, domain, operator


def cosine(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def test_similarity_and_distance_are_cosines(made: Made) -> None:
    vectors, target, domain, operator = made
    signals = nearness(*made)
    wide, goal = vectors.astype(float), target.astype(float).mean(0)
    centre = wide.mean(0)
    np.testing.assert_allclose(signals["similarity"], [cosine(row - centre, goal - centre) for row in wide], atol=1e-5)
    means = [wide[(operator == 0) & (domain == d)].mean(0) for d in (1, 2)]
    np.testing.assert_allclose(signals["distance"], [0, *(1 - cosine(mean, goal) for mean in means)], atol=1e-6)


def test_log_odds_are_those_of_a_balanced_logistic_regression_on_texts_as_they_are(made: Made) -> None:
    vectors, target, _, operator = made
    texts = np.concatenate([target, vectors[operator == 0]]).astype(float)
    is_target = np.arange(len(texts)) < len(target)
    share = np.where(is_target, len(texts) / 2 / len(target), len(texts) / 2 / (operator == 0).sum())

    def loss(theta: NDArray[np.float64]) -> float:
        odds = texts @ theta[:-1] + theta[-1]
        return float(share @ np.logaddexp(0, np.where(is_target, -odds, odds)) + theta[:-1] @ theta[:-1] / 2)

    theta = minimize(loss, np.zeros(WIDTH + 1), tol=1e-9).x
    expected = vectors.astype(float) @ theta[:-1] + theta[-1]
    np.testing.assert_allclose(nearness(*made)["log_odds"], expected, atol=5e-3)


def test_vectors_are_read_part_by_part(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearness(*made)
    monkeypatch.setattr("l2a_gym.augment.nearness.AT_ONCE", 7)
    for name, values in nearness(*made).items():
        np.testing.assert_allclose(values, whole[name], atol=1e-5, err_msg=name)


def test_the_classifier_is_fitted_on_texts_spread_evenly(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, target, domain, operator = made
    monkeypatch.setattr("l2a_gym.augment.nearness.FITTED", 3)
    sources = np.flatnonzero(operator == 0)
    left_out = np.setdiff1d(np.arange(len(sources)), [0, (len(sources) - 1) // 2, len(sources) - 1])
    few = nearness(*made)["log_odds"]
    moved = vectors.copy()
    moved[sources[left_out]] += 1
    again = nearness(moved, target, domain, operator)["log_odds"]
    still = np.setdiff1d(np.arange(N), sources[left_out])
    np.testing.assert_allclose(again[still], few[still], atol=1e-5)


def test_texts_that_are_all_alike_are_neither_near_nor_far() -> None:
    same = np.ones((6, 4), dtype=np.float16)
    signals = nearness(same, same[:2].astype(np.float32), np.array([1, 1, 1, 2, 2, 2]), np.zeros(6, dtype=np.int64))
    assert signals["similarity"].tolist() == [0] * 6
    assert np.isfinite(signals["log_odds"]).all()
    np.testing.assert_allclose(signals["distance"], 0, atol=1e-6)
