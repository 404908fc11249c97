"""Rules of one column, on columns that are made up and on the toy's."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, sqrt
from typing import Any

import numpy as np
import pytest
from l2a_agents.heuristic import (
    DSIR,
    EL2N,
    LossCurriculum,
    MaxKL,
    MetaGradient,
    MooreLewis,
    OneColumn,
    Prototype,
    Similarity,
    TeacherConfidence,
    TopShare,
    el2n,
)
from l2a_agents.selector import Spaces

from l2a_gym.envs.toy import ToyEnv

WITHOUT_CHANCE = [TeacherConfidence, Similarity, MooreLewis, MaxKL, Prototype, LossCurriculum, EL2N, MetaGradient]


def spaces_of(column: str) -> Spaces:
    """Spaces of an environment that shows one column."""
    return replace(Spaces.from_env(ToyEnv()), columns=(column,))


def seen(values: list[float], progress: float = 0.5) -> dict[str, Any]:
    """An observation with one column."""
    student = np.zeros(7, dtype=np.float32)
    student[5] = progress
    return {"candidates": np.array(values, dtype=np.float32)[:, None], "student": student}


def weights(kind: type[OneColumn], values: list[float], progress: float = 0.5) -> Any:
    return kind(spaces_of(kind.column)).act(seen(values, progress))  # type: ignore[attr-defined]


def toy_of(kind: type[OneColumn]) -> tuple[Spaces, dict[str, Any]]:
    """What the toy shows the selector, in the middle of an episode."""
    env = ToyEnv(**kind.env_options)
    env.reset(seed=5)
    return Spaces.from_env(env), env.step(np.ones(32, dtype=np.float32))[0]


@pytest.mark.parametrize(
    ("kind", "column", "kept"),
    [
        (TeacherConfidence, "teacher_confidence", 16),
        (Similarity, "similarity", 8),
        (MaxKL, "kl", 16),
        (MooreLewis, "cross_entropy_difference", 16),
    ],
)
def test_the_best_of_a_column_are_kept(kind: type[TopShare], column: str, kept: int) -> None:
    spaces, observation = toy_of(kind)
    action = kind(spaces).act(observation)
    values = kind.sign * observation["candidates"][:, spaces.columns.index(column)]
    assert set(action.tolist()) == {0.0, 1.0}
    assert action.sum() == kept
    assert values[action == 1].min() > values[action == 0].max()


def test_the_lowest_cross_entropy_difference_is_kept() -> None:
    assert weights(MooreLewis, [-0.9, 0.3, -0.2, 0.1]).tolist() == [1, 0, 1, 0]


def test_ties_go_to_the_first(spaces: Spaces, observation: dict[str, Any]) -> None:
    flat = {"candidates": np.zeros_like(observation["candidates"])}
    assert Similarity(spaces).act(flat).tolist() == [1.0] * 8 + [0.0] * 24


@pytest.mark.parametrize("kind", WITHOUT_CHANCE)
def test_permutation_of_candidates_permutes_the_action(kind: type[OneColumn]) -> None:
    spaces, observation = toy_of(kind)
    selector: Any = kind(spaces)
    order = np.random.default_rng(0).permutation(32)
    shuffled = observation | {"candidates": observation["candidates"][order]}
    action = selector.act(observation)
    assert np.array_equal(selector.act(shuffled), action[order])
    assert action.std() > 0


# DSIR


def dsir(values: list[float], steps: int, progress: float = 0.5) -> Any:
    selector = DSIR(spaces_of("importance"))
    return np.array([selector.act(seen(values, progress)) for _ in range(steps)])


def test_one_of_two_is_drawn_in_proportion_to_its_importance() -> None:
    """With z = 1 and -1 the odds are exp(2 SPREAD); a smaller spread, where chance has a say, is compared."""

    class Close(DSIR):
        SPREAD = 0.5

    selector = Close(spaces_of("importance"))
    kept = np.array([selector.act(seen([0.2, -0.3])) for _ in range(4000)])
    assert (kept.sum(1) == 1).all()
    assert kept[:, 0].mean() == pytest.approx(1 / (1 + exp(-1)), abs=0.03)


def test_two_of_four_are_drawn_one_after_the_other() -> None:
    """The first by its share of exp(SPREAD z), the second by its share of what is left."""
    column = [0.5, 0.4, 0.2, -0.1]
    x = np.array([v / (1 - abs(v)) for v in column])
    share = np.exp(4 * (x - x.mean()) / x.std())
    share /= share.sum()
    second = [sum(share[j] * share[i] / (1 - share[j]) for j in range(4) if j != i) for i in range(4)]
    np.testing.assert_allclose(dsir(column, 4000).mean(0), share + second, atol=0.03)


def test_alike_texts_are_kept_alike_and_draws_differ_from_step_to_step() -> None:
    kept = dsir([0.3] * 9, 2000)
    assert (kept.sum(1) == 4).all()
    np.testing.assert_allclose(kept.mean(0), 4 / 9, atol=0.05)
    assert len(np.unique(kept, axis=0)) > 100


def test_draws_are_the_same_in_every_episode() -> None:
    selector = DSIR(spaces_of("importance"))
    one, two = ([selector.act(seen([0.3] * 8, t / 3)) for t in range(3)] for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one[0], one[1])


def test_a_column_at_its_end_is_drawn_from_like_any_other() -> None:
    assert dsir([1.0, -0.2, 0.1, -1.0], 50)[:, 0].tolist() == [1] * 50


# Prototype


def test_weights_are_a_softmax_over_its_largest_value() -> None:
    similarity = np.array([0.3, -0.5, 0.1, 0.25])
    softmax = np.exp(similarity / 0.2) / np.exp(similarity / 0.2).sum()
    np.testing.assert_allclose(weights(Prototype, similarity.tolist()), softmax / softmax.max(), atol=1e-6)


def test_a_shift_of_all_similarities_changes_no_weight() -> None:
    shifted = [[s + shift for s in (0.1, -0.2, 0.3)] for shift in (0.0, 0.4)]
    np.testing.assert_allclose(weights(Prototype, shifted[0]), weights(Prototype, shifted[1]), atol=1e-6)


# Curriculum


@pytest.mark.parametrize(("progress", "kept"), [(0, 4), (0.25, 6), (0.5, 8), (0.75, 10), (1, 12)])
def test_the_easiest_come_first_and_their_share_grows(progress: float, kept: int) -> None:
    loss = np.random.default_rng(0).random(12)
    action = weights(LossCurriculum, loss.tolist(), progress)
    assert action.sum() == kept
    assert set(np.flatnonzero(action)) == set(loss.argsort()[:kept])


# EL2N


def test_the_score_is_the_norm_of_probabilities_less_label_for_two_classes() -> None:
    p = np.array([0.999, 0.8, 0.5, 0.1, 1e-6])
    x = -np.log(p)
    norm = [sqrt((q - 1) ** 2 + (1 - q) ** 2) for q in p]
    np.testing.assert_allclose(el2n(x / (1 + x)), norm, atol=1e-9)


def test_the_score_bounds_that_of_more_classes() -> None:
    for p in np.random.default_rng(0).dirichlet(np.ones(4), size=50):
        x = -log(p[0])
        score = el2n(np.array([x / (1 + x)]))[0]
        assert np.linalg.norm(p - np.eye(4)[0]) <= score + 1e-9
    assert el2n(np.array([0.0, 1.0])).tolist() == pytest.approx([0, sqrt(2)])


def test_the_middle_half_is_kept() -> None:
    assert weights(EL2N, [0.1, 0.9, 0.5, 0.3, 0.6, 0.8, 0.2, 0.4]).tolist() == [0, 0, 1, 1, 1, 0, 0, 1]


def test_shares_of_an_odd_number() -> None:
    assert weights(EL2N, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]).tolist() == [0, 0, 1, 1, 1, 0, 0]


# Meta-gradient


def test_weights_are_what_points_along_the_dev_gradient() -> None:
    np.testing.assert_allclose(weights(MetaGradient, [0.2, -0.7, 0.4, 0.0]), [0.5, 0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("agreement", [[-0.2, -0.7, -0.1], [0.0, 0.0, 0.0], [-1.0, 0.0, -0.5]])
def test_where_nothing_points_along_it_all_count_alike(agreement: list[float]) -> None:
    assert weights(MetaGradient, agreement).tolist() == [1, 1, 1]
