"""The rule that the learning selectors share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from l2a_agents.registry import SELECTORS, make_selector, selector_class
from l2a_agents.rollout import rollout
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions, standardise, summary
from l2a_agents.selector import MakeEnv, Spaces
from numpy.typing import NDArray

from l2a_gym.envs.toy import ToyEnv

SEARCHES = ("random-search", "cma-es", "bayes", "look-ahead")
LEARNERS = (*SEARCHES, "pgpe", "dvrl", "ppo", "a2c", "trpo", "sac", "td3", "tqc")
THETA = np.array([0.3, 2.0, -0.5, 0.2, 1.0, -0.7], dtype=np.float32)


def by_hand(env: ToyEnv, candidates: NDArray[np.float32], theta: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the formula of the module's docstring, column by column."""
    score = np.zeros(len(candidates))
    for name, weight in zip(COLUMNS, theta, strict=True):
        values = candidates[:, env.columns.index(name)].astype(np.float64)
        if values.std() > 0:
            score += float(weight) * (values - values.mean()) / values.std()
    return np.clip((1 + score) / 2, -1, 1)


# The rule


def test_the_rule_is_its_formula(spaces: Spaces, observation: dict[str, Any]) -> None:
    action = apply_rule(THETA, observation, positions(spaces))
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, by_hand(ToyEnv(), observation["candidates"], THETA), atol=1e-5)


def test_theta_zero_weights_all_alike(spaces: Spaces, observation: dict[str, Any]) -> None:
    assert apply_rule(np.zeros(6), observation, positions(spaces)).tolist() == [0.5] * 32


def test_a_rule_moves_away_from_the_weights_it_starts_from(spaces: Spaces, observation: dict[str, Any]) -> None:
    where, start = positions(spaces), np.array([1, 0] * 16, dtype=np.float32)
    assert apply_rule(np.zeros(6), observation, where, start).tolist() == [1, 0] * 16
    moved = apply_rule(0.1 * THETA, observation, where, 0.3 + 0.4 * start)
    np.testing.assert_allclose(moved - (0.4 * start - 0.2), apply_rule(0.1 * THETA, observation, where), atol=1e-6)


def test_one_deviation_decides_between_full_weight_and_drop() -> None:
    """Of a column that is +-1 for half each, theta z is +-theta: 0 at -1, 1 at +1, and cut to [-1, 1] beyond."""
    column = np.tile(np.array([1, -1], dtype=np.float32), 8)[:, None]
    observation = {"candidates": column}
    for theta, high, low in ((1, 1, 0), (0.5, 0.75, 0.25), (2, 1, -0.5), (4, 1, -1), (-2, -0.5, 1)):
        action = apply_rule(np.array([float(theta)]), observation, [0])
        np.testing.assert_allclose(action, np.tile([high, low], 8), atol=1e-6)


def test_only_the_rules_columns_count(spaces: Spaces, observation: dict[str, Any]) -> None:
    where = positions(spaces)
    assert [spaces.columns[i] for i in where] == list(COLUMNS)
    other = observation["candidates"].copy()
    other[:, [i for i in range(len(spaces.columns)) if i not in where]] = 0.123
    assert np.array_equal(apply_rule(THETA, {"candidates": other}, where), apply_rule(THETA, observation, where))


def test_a_rule_can_weigh_classes_and_domains(spaces: Spaces, observation: dict[str, Any]) -> None:
    selector: Any = make_selector("random-search", spaces, groups="label domain")
    added = ("label=negative", "label=positive", "domain=target", "domain=near", "domain=far")
    assert selector.columns == (*COLUMNS, *added)
    selector.theta[selector.columns.index("label=positive")] = BOUND
    positive = observation["candidates"][:, spaces.column("label=positive")] == 1
    assert 8 < positive.sum() < 24
    assert selector.act(observation).tolist() == np.where(positive, 1, -1).tolist()


@pytest.mark.parametrize("name", ["random-search", "cma-es", "bayes", "pgpe", "reinforce"])
def test_learners_of_a_rule_learn_about_groups_too(
    spaces: Spaces, make_toy: MakeEnv, name: str, can_be_had: Callable[[str], None], tmp_path: Path
) -> None:
    can_be_had(name)
    selector, other = (make_selector(name, spaces, groups="label", prior="") for _ in range(2))
    selector.train(make_toy, 21 * 24, 0, lambda *_: None)  # Bayes' model proposes rules after those that are drawn
    selector.save(tmp_path)
    other.load(tmp_path)
    assert len(selector.theta) == len(COLUMNS) + 2  # type: ignore[attr-defined]
    assert selector.theta[-2:].all()  # type: ignore[attr-defined]
    assert other.theta.tolist() == selector.theta.tolist()  # type: ignore[attr-defined]


def test_standardised_columns_have_mean_zero_and_deviation_one() -> None:
    columns = np.random.default_rng(0).normal(3, 0.01, (50, 4)).astype(np.float32)
    columns[:, 2] = 0.7
    z = standardise(columns)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(0), [1, 1, 0, 1], atol=1e-9)


def test_scale_and_shift_of_a_column_do_not_count(spaces: Spaces, observation: dict[str, Any]) -> None:
    moved = observation["candidates"].astype(np.float64) * 0.5 + 0.25
    action = apply_rule(THETA, {"candidates": moved}, positions(spaces))
    np.testing.assert_allclose(action, apply_rule(THETA, observation, positions(spaces)), atol=1e-6)


# Random draws go by place; and where all losses are the same, as they are at the toy's start, the first are kept.
BY_PLACE = ("random-half", "dsir", "loss-curriculum", "el2n")


@pytest.mark.parametrize("name", [name for name in SELECTORS if name not in BY_PLACE])
def test_every_selector_treats_candidates_alike(name: str, can_be_had: Callable[[str], None]) -> None:
    """A rule's means are sums in another order, which may move float32's last digit."""
    can_be_had(name)
    kind = selector_class(name)
    make_toy = MakeEnv("l2a_gym:L2A-Toy-v0", **kind.env_options)
    env = make_toy()
    start, observation = env.reset(seed=5)[0], env.step(np.ones(env.action_space.shape or (), dtype=np.float32))[0]
    selector = kind(Spaces.from_env(env))
    selector.train(make_toy, 21 * 14, 0, lambda *_: None)
    plain = [selector.act(seen) for seen in (start, observation)]
    if name in LEARNERS:
        assert all(len(np.unique(action)) > 2 for action in plain)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(32)
        for action, seen in zip(plain, (start, observation), strict=True):
            shuffled = seen | {"candidates": seen["candidates"][order]}
            moved = action.reshape(-1, 32)[:, order].ravel()  # weights, and trust where there is any
            np.testing.assert_allclose(selector.act(shuffled), moved, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", [*LEARNERS, "exp3", "thompson"])
def test_another_seed_learns_something_else(name: str, can_be_had: Callable[[str], None]) -> None:
    """That the same seed learns the same is a test of conformance."""
    can_be_had(name)
    make_toy, actions = MakeEnv("l2a_gym:L2A-Toy-v0", **selector_class(name).env_options), []
    for seed in (0, 1):
        selector = make_selector(name, Spaces.from_env(make_toy()))
        selector.train(make_toy, 21 * 14, seed, lambda *_: None)
        actions.append([step.action for step in rollout(make_toy(), selector.act, 9)])
    assert not np.array_equal(*actions)


def test_summary_forgets_the_order_but_no_part_that_it_is_made_of(observation: dict[str, Any]) -> None:
    order = np.random.default_rng(0).permutation(32)
    shuffled = observation | {"candidates": observation["candidates"][order]}
    np.testing.assert_allclose(summary(shuffled), summary(observation), atol=1e-6)
    for name in ("candidates", "student", "domains"):
        changed = observation | {name: observation[name] + np.float32(0.1)}
        assert np.abs(summary(changed) - summary(observation)).max() > 0.05


# Its bound


def test_the_bound_leaves_room_for_a_rule_near_the_optimum(spaces: Spaces) -> None:
    """A rule along the usefulness, as steep as it may be, reaches 97 % of the optimum."""
    deviations = np.array([0, 0.7 * 2 * 8**-0.5, 0, 0, 0.3 * 0.5, 0])  # of the terms of u
    theta = deviations / deviations.max() * BOUND
    env, reached, best = ToyEnv(), 0.0, 0.0
    for seed in range(20):
        act = partial(apply_rule, theta, where=positions(spaces))
        reached += sum(step.reward for step in rollout(env, act, seed))
        best += env.optimal_return(seed)
    assert reached >= 0.97 * best
