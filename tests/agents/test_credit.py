"""Credits of candidates, pooled: exact on small cases, and against scikit-learn's ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
from l2a_agents.credit import Credited, alignment, direction, shrunk
from l2a_agents.fixed import Uniform
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler


def episode(seed: int, beta: list[float], noise: float = 0.0, steps: int = 3, number: int = 50) -> Credited:
    """Candidates of random columns, whose credit is their product with beta, and noise."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(steps, number, len(beta))).astype(np.float32)
    credit = columns @ np.array(beta) + noise * rng.normal(size=(steps, number))
    return Credited(0.0, [{"candidates": each} for each in columns], credit)


def test_columns_on_which_episodes_disagree_are_shrunk() -> None:
    """(1, 1): m = 1 and s = 0. (1, -1): m = 0. (3, 1): m = 2 and s = 1, 2 * 4 / 5."""
    np.testing.assert_allclose(shrunk(np.array([[1.0, 1, 3], [1, -1, 1]])), [1, 0, 1.6])
    np.testing.assert_allclose(shrunk(np.array([[2.0, -3]])), [2, -3])


def test_the_direction_is_that_of_ridge_regression() -> None:
    found = episode(0, [1.0, -2.0, 0.0], noise=1.0)
    z = np.concatenate([StandardScaler().fit_transform(each["candidates"]) for each in found.observations])
    y = np.concatenate([StandardScaler().fit_transform(each[:, None])[:, 0] for each in found.credit])
    expected = Ridge(alpha=0.5 * len(z), fit_intercept=False).fit(z, y).coef_
    np.testing.assert_allclose(direction([found], [0, 1, 2], ridge=0.5), expected / np.linalg.norm(expected), atol=1e-5)


def test_several_episodes_find_the_columns_that_count() -> None:
    found = direction([episode(seed, [0.6, 0.0, -0.8], noise=1.0) for seed in range(8)], [0, 1, 2], ridge=0.01)
    np.testing.assert_allclose(found, [0.6, 0, -0.8], atol=0.1)


def test_credit_that_says_nothing_has_no_direction() -> None:
    nothing = episode(0, [0.0, 0.0])
    assert direction([nothing], [0, 1], ridge=0.01).tolist() == [0, 0]


def test_alignment_is_the_cosine_of_credit_and_the_move_away_from_uniform_weights() -> None:
    """Weights 1, 0, 3 over their mean 4/3 are 0.75, 0, 2.25; less 1: -0.25, -1, 1.25."""
    one = Credited(0.0, [{"candidates": np.zeros((3, 1), dtype=np.float32)}], np.array([[2.0, 1.0, 4.0]]))
    weights = np.array([1.0, -0.5, 3.0], dtype=np.float32)
    expected = (-0.5 - 1 + 5) / np.sqrt((4 + 1 + 16) * (0.0625 + 1 + 1.5625))
    assert alignment(lambda _: weights, [one]) == pytest.approx(expected)
    assert alignment(lambda _: 7 * weights, [one, one]) == pytest.approx(expected)
    assert alignment(Uniform(None).act, [one]) == 0  # type: ignore[arg-type]
    assert alignment(lambda _: 0 * weights, [one]) == pytest.approx(-7 / np.sqrt(21 * 3))  # nothing is chosen
    best = np.array([2.0, 1.0, 4.0], dtype=np.float32)
    worst = best.max() - best
    assert alignment(lambda _: worst, [one]) < 0 < alignment(lambda _: best, [one]) < 1
