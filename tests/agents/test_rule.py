"""The shared rule, and whole episodes of it as one decision."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.ppo import PPOSelector
from l2a_agents.registry import SELECTORS, selector_class
from l2a_agents.reinforce import Reinforce
from l2a_agents.rule import BOUND, COLUMNS, TRAINING_SEEDS, RuleEnv, apply_rule, positions, standardise, summary
from l2a_agents.search import RandomSearch
from l2a_agents.selector import MakeEnv, Spaces
from numpy.typing import NDArray

from l2a_gym.envs.toy import ToyEnv

THETA = np.array([0.3, 2.0, -0.5, 0.2, 1.0, -0.7], dtype=np.float32)


class Counted(gym.Wrapper[Any, Any, Any, Any]):
    """Counts what a wrapped toy was asked for."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.seeds: list[int | None] = []
        self.steps_taken = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.seeds.append(seed)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self.steps_taken += 1
        return super().step(action)


def counted(**options: Any) -> Counted:
    return Counted(ToyEnv(**options))


def by_hand(env: ToyEnv, candidates: NDArray[np.float32], theta: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the formula of the module's docstring, column by column."""
    score = np.zeros(len(candidates))
    for name, weight in zip(COLUMNS, theta, strict=True):
        values = candidates[:, env.columns.index(name)].astype(np.float64)
        if values.std() > 0:
            score += float(weight) * (values - values.mean()) / values.std()
    return np.clip((1 + score) / 2, -1, 1)


# The rule


def test_the_rule_is_its_formula(face: Spaces, observation: dict[str, Any]) -> None:
    action = apply_rule(THETA, observation, positions(face))
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, by_hand(ToyEnv(), observation["candidates"], THETA), atol=1e-5)


def test_theta_zero_weights_all_alike(face: Spaces, observation: dict[str, Any]) -> None:
    assert apply_rule(np.zeros(6), observation, positions(face)).tolist() == [0.5] * 32


def test_one_deviation_decides_between_full_weight_and_drop() -> None:
    """Of a column that is +-1 for half each, theta z is +-theta: 0 at -1, 1 at +1, and cut to [-1, 1] beyond."""
    column = np.tile(np.array([1, -1], dtype=np.float32), 8)[:, None]
    observation = {"candidates": column}
    for theta, high, low in ((1, 1, 0), (0.5, 0.75, 0.25), (2, 1, -0.5), (4, 1, -1), (-2, -0.5, 1)):
        action = apply_rule(np.array([float(theta)]), observation, [0])
        np.testing.assert_allclose(action, np.tile([high, low], 8), atol=1e-6)


def test_only_the_rules_columns_count(face: Spaces, observation: dict[str, Any]) -> None:
    where = positions(face)
    assert [face.columns[i] for i in where] == list(COLUMNS)
    other = observation["candidates"].copy()
    other[:, [i for i in range(len(face.columns)) if i not in where]] = 0.123
    assert np.array_equal(apply_rule(THETA, {"candidates": other}, where), apply_rule(THETA, observation, where))


def test_standardised_columns_have_mean_zero_and_deviation_one() -> None:
    columns = np.random.default_rng(0).normal(3, 0.01, (50, 4)).astype(np.float32)
    columns[:, 2] = 0.7
    z = standardise(columns)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(0), [1, 1, 0, 1], atol=1e-9)


def test_scale_and_shift_of_a_column_do_not_count(face: Spaces, observation: dict[str, Any]) -> None:
    moved = observation["candidates"].astype(np.float64) * 0.5 + 0.25
    action = apply_rule(THETA, {"candidates": moved}, positions(face))
    np.testing.assert_allclose(action, apply_rule(THETA, observation, positions(face)), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in SELECTORS if name not in ("oracle", "random-half")])
def test_every_selector_treats_candidates_alike(
    face: Spaces, make_toy: MakeEnv, start: dict[str, Any], observation: dict[str, Any], name: str
) -> None:
    """A rule's means are sums in another order, which may move float32's last digit."""
    selector = selector_class(name)(face)
    selector.train(make_toy, 21 * 20, 0, lambda *_: None)
    plain = [selector.act(seen) for seen in (start, observation)]
    if isinstance(selector, Reinforce | RandomSearch | PPOSelector):
        assert all(len(np.unique(action)) > 2 for action in plain)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(32)
        for action, seen in zip(plain, (start, observation), strict=True):
            shuffled = seen | {"candidates": seen["candidates"][order]}
            np.testing.assert_allclose(selector.act(shuffled), action[order], rtol=0, atol=2e-6)


def test_summary_forgets_the_order_but_no_part_that_it_is_made_of(observation: dict[str, Any]) -> None:
    order = np.random.default_rng(0).permutation(32)
    shuffled = observation | {"candidates": observation["candidates"][order]}
    np.testing.assert_allclose(summary(shuffled), summary(observation), atol=1e-6)
    for name in ("candidates", "student", "domains"):
        changed = observation | {name: observation[name] + np.float32(0.1)}
        assert np.abs(summary(changed) - summary(observation)).max() > 0.05


# Whole episodes


def recomputed(seed: int, theta: NDArray[np.float32]) -> float:
    """Mean gain after steps 6 to 10 of the toy, by its own formula of the gain."""
    env = ToyEnv()
    observation, _ = env.reset(seed=seed)
    gain, gains = 0.0, []
    for _ in range(10):
        weight = np.maximum(by_hand(env, observation["candidates"], theta), 0)
        gain += float(weight @ env.usefulness(observation)) / (32 * 10)
        gains.append(gain)
        observation, *_ = env.step(weight.astype(np.float32))
    return float(np.mean(gains[5:]))


def test_the_reward_is_the_mean_gain_of_the_second_half() -> None:
    env = RuleEnv(counted, seed=0)
    for theta in (THETA, -THETA, np.zeros(6, dtype=np.float32)):
        env.reset()
        _, reward, terminated, truncated, info = env.step(theta)
        wrapped = env.env
        assert isinstance(wrapped, Counted)
        seed = wrapped.seeds[-1]
        assert seed is not None
        assert reward == pytest.approx(recomputed(seed, theta), abs=1e-6)
        assert (terminated, truncated) == (True, False)
        assert info["gain"] == pytest.approx(1 - info["dev_nll"], abs=1e-9)


def seeds_of(seed: int, episodes: int, **options: Any) -> list[int | None]:
    env = RuleEnv(counted, seed, **options)
    for _ in range(episodes):
        env.reset()
        env.step(np.zeros(6, dtype=np.float32))
    assert isinstance(env.env, Counted)
    return env.env.seeds


def test_environments_of_a_run_start_from_the_same_seeds_in_the_same_order() -> None:
    seeds = seeds_of(3, 2 * TRAINING_SEEDS)
    assert seeds == seeds_of(3, 2 * TRAINING_SEEDS)
    assert len(set(seeds)) == TRAINING_SEEDS
    assert seeds[:TRAINING_SEEDS] == seeds[TRAINING_SEEDS:]
    assert seeds_of(3, 6, repeat=2) == [seed for seed in seeds[:3] for _ in range(2)]
    assert not set(seeds) & set(seeds_of(4, TRAINING_SEEDS))


def test_control_subtracts_the_uniform_rules_reward_exactly(make_toy: MakeEnv) -> None:
    plain, paired, uniform = (RuleEnv(make_toy, 0, control=control) for control in (False, True, False))
    for _ in range(TRAINING_SEEDS + 2):
        for env in (plain, paired, uniform):
            env.reset()
        base = uniform.step(np.zeros(6, dtype=np.float32))[1]
        assert base != 0
        assert paired.step(THETA)[1] == plain.step(THETA)[1] - base


def test_control_leaves_nothing_of_the_uniform_rule(make_toy: MakeEnv) -> None:
    env = RuleEnv(make_toy, 1, control=True)
    for _ in range(3):
        env.reset()
        assert env.step(np.zeros(6, dtype=np.float32))[1] == 0.0


@pytest.mark.parametrize("control", [False, True])
def test_spent_counts_every_update_and_dev_pass(control: bool) -> None:
    env = RuleEnv(counted, 0, control=control)
    wrapped = env.env
    assert isinstance(wrapped, Counted)
    for _ in range(TRAINING_SEEDS + 3):
        _, info = env.reset()
        assert info["spent"] == len(wrapped.seeds) + 2 * wrapped.steps_taken
        *_, info = env.step(THETA)
        assert info["spent"] == len(wrapped.seeds) + 2 * wrapped.steps_taken
    extra = TRAINING_SEEDS if control else 0  # once a seed
    assert wrapped.steps_taken == 10 * (TRAINING_SEEDS + 3 + extra)


def test_observations_and_actions_lie_in_their_spaces(make_toy: MakeEnv) -> None:
    env = RuleEnv(make_toy, 0)
    observation, _ = env.reset()
    assert env.observation_space.contains(observation)
    assert env.action_space == gym.spaces.Box(-BOUND, BOUND, (6,), dtype=np.float32)
    assert env.observation_space.contains(env.step(THETA)[0])


def test_the_bound_leaves_room_for_a_rule_near_the_optimum(face: Spaces) -> None:
    """A rule along the usefulness, as steep as it may be, reaches 97 % of the optimum."""
    deviations = np.array([0, 0.7 * 2 * 8**-0.5, 0, 0, 0.3 * 0.5, 0])  # of the terms of u
    theta = deviations / deviations.max() * BOUND
    env, reached, best = ToyEnv(), 0.0, 0.0
    for seed in range(20):
        (observation, _), over = env.reset(seed=seed), False
        while not over:
            observation, reward, over, _, _ = env.step(apply_rule(theta, observation, positions(face)))
            reached += reward
        best += env.optimal_return(seed)
    assert reached >= 0.97 * best
