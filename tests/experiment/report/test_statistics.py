"""Statistics against rliable, SciPy and counting by hand."""

from __future__ import annotations

from importlib import import_module
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from l2a_gym.experiment.report.statistics import anytime, bootstrap_mean, holm, sign_flip


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def scores(rng: np.random.Generator) -> NDArray[np.float64]:
    """Eight runs on three tasks of different levels, one run far off."""
    drawn = rng.normal([0.6, 0.7, 0.9], 0.05, (8, 3))
    drawn[2, 1] = 0.1
    return drawn


def test_the_bootstraps_interval_is_that_of_rliable(scores: NDArray[np.float64], rng: np.random.Generator) -> None:
    library = import_module("rliable.library")
    found = bootstrap_mean(scores, rng, samples=4000)
    _, intervals = library.get_interval_estimates(
        {"ours": scores}, lambda x: np.array([x.mean()]), reps=4000, random_state=np.random.RandomState(1)
    )
    low, high = intervals["ours"][:, 0]
    assert found.value == pytest.approx(scores.mean())
    # The library draws anew each time.
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_bootstrap_draws_within_each_task(rng: np.random.Generator) -> None:
    """Tasks that each give the same difference at all seeds leave nothing to chance."""
    found = bootstrap_mean(np.tile([0.2, 0.9], (5, 1)), rng)
    assert (found.low, found.value, found.high) == pytest.approx((0.55, 0.55, 0.55))


def test_a_single_seed_has_no_interval(rng: np.random.Generator) -> None:
    found = bootstrap_mean(np.array([[1.0, 3.0]]), rng)
    assert found.value == 2
    assert np.isnan([found.low, found.high]).all()


def test_the_bootstraps_interval_holds_the_mean_as_often_as_it_says(rng: np.random.Generator) -> None:
    def covered() -> bool:
        found = bootstrap_mean(rng.normal(size=(20, 2)), rng, samples=300)
        return found.low <= 0 <= found.high

    assert 0.89 < np.mean([covered() for _ in range(300)]) < 0.98


def test_sign_flips_are_counted(rng: np.random.Generator) -> None:
    differences = np.array([0.4, 1.2, -0.3, 0.9, 0.8, 0.1])
    flips = [abs(np.mean(differences * signs)) for signs in product([1, -1], repeat=6)]
    expected = np.mean(np.array(flips) >= abs(differences.mean()) - 1e-12)
    assert sign_flip(differences, rng) == pytest.approx(expected)
    assert sign_flip(np.ones(6), rng) == pytest.approx(2 / 64)
    assert sign_flip(np.ones(5), rng) > 0.05  # five seeds can't be significant
    assert sign_flip(np.zeros(6), rng) == 1


def test_many_sign_flips_are_drawn(rng: np.random.Generator) -> None:
    differences = rng.normal(0.2, 1, 40)
    drawn = sign_flip(differences, rng, samples=20_000)
    assert drawn == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


def test_holm_steps_down() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_anytime_takes_the_last_report() -> None:
    spent = [np.array([10.0, 30.0]), np.array([20.0])]
    found = anytime(spent, [np.array([1.0, 3.0]), np.array([2.0])], np.array([5.0, 10.0, 25.0, 40.0]))
    np.testing.assert_array_equal(found, [[np.nan, 1, 1, 3], [np.nan, np.nan, 2, 2]])
