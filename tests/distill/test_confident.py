"""Confident learning, on a case by hand and against cleanlab."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.distill.confident import suspected, thresholds


def test_a_label_is_suspected_where_the_text_counts_for_another_class() -> None:
    """Thresholds are 0.6 and 0.5: the third text counts for class 1, the last for none."""
    probability = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.55, 0.45], [0.75, 0.25]])
    label = np.array([0, 0, 0, 1, 1, 1])
    threshold = thresholds(probability, label)
    np.testing.assert_allclose(threshold, [0.6, 0.5])
    assert suspected(probability, label, threshold).tolist() == [False, False, True, False, False, True]


def test_a_class_that_no_text_has_is_not_suspected_behind_any() -> None:
    probability, label = np.array([[0.1, 0.2, 0.7], [0.2, 0.6, 0.2]]), np.array([0, 1])
    threshold = thresholds(probability, label)
    assert threshold.tolist() == [0.1, 0.6, np.inf]
    assert not suspected(probability, label, threshold).any()


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", range(20))
def test_what_is_suspected_is_off_cleanlabs_diagonal(classes: int, seed: int) -> None:
    count = pytest.importorskip("cleanlab.count", reason="cleanlab is in the extra dev")
    rng = np.random.default_rng([classes, seed])
    true = np.r_[np.arange(classes), rng.integers(classes, size=200)]
    label = np.where(rng.random(len(true)) < 0.3, rng.integers(classes, size=len(true)), true)
    label[:classes] = np.arange(classes)  # cleanlab wants every class
    probability = rng.dirichlet(np.full(classes, 0.7), size=len(true)) + rng.random() * np.eye(classes)[true]
    probability /= probability.sum(1, keepdims=True)
    _, off = count.compute_confident_joint(label, probability, return_indices_of_off_diagonals=True)
    found = suspected(probability, label, thresholds(probability, label))
    assert 0 < found.sum() < len(label)
    assert np.flatnonzero(found).tolist() == off.tolist()


def test_wrong_labels_of_two_classes_are_those_that_cleanlab_finds() -> None:
    find = pytest.importorskip("cleanlab.filter", reason="cleanlab is in the extra dev").find_label_issues
    rng = np.random.default_rng(0)
    true = rng.integers(2, size=500)
    label = np.where(rng.random(500) < 0.4, 1 - true, true)
    p = np.clip(0.5 + 0.15 * (2 * true - 1) + 0.1 * rng.normal(size=500), 0, 1)
    probability = np.stack([1 - p, p], axis=1)
    issues = find(label, probability, filter_by="confident_learning", n_jobs=1)
    found = suspected(probability, label, thresholds(probability, label))
    likeliest = probability.argmax(1) == label  # cleanlab then takes these back
    assert np.array_equal(found & ~likeliest, issues)
    assert found[label != true].mean() > 0.6
