"""Learners from credit: what they reach on the toy, whose optimum is known, and where they stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.influence import Choice, Influence, Player
from l2a_agents.metagradient import Metagradient
from l2a_agents.prior import PRIOR, prior_of
from l2a_agents.registry import make_selector, selector_class
from l2a_agents.rollout import rollout
from l2a_agents.rule import BOUND
from l2a_agents.selector import MakeEnv, Spaces, Wrappers, spent

from l2a_gym.envs.toy import ToyEnv

BUDGET = 1000
EPISODE = 21
NAMES = ("influence", "metagradient")
OPTIONS = dict(Influence.env_options)


@pytest.fixture(scope="module")
def shown() -> Spaces:
    return Spaces.from_env(MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS)())


def trained(name: str, spaces: Spaces, seed: int, budget: int = BUDGET, noise: float = 0.01) -> Influence:
    selector = make_selector(name, spaces)
    selector.train(MakeEnv("l2a_gym:L2A-Toy-v0", noise=noise, **OPTIONS), budget, seed, lambda *_: None)
    return cast(Influence, selector)


def share(selector: Influence) -> float:
    """What it gains in episodes that it was not trained on, of the largest return."""
    env, shares = ToyEnv(**OPTIONS), []
    for seed in range(100, 105):
        shares.append(sum(step.reward for step in rollout(env, selector.act, seed)) / env.optimal_return(seed))
    return float(np.mean(shares))


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_near_the_optimum(shown: Spaces, name: str) -> None:
    assert min(share(trained(name, shown, seed)) for seed in range(3)) > 0.9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [400, 1000])
def test_it_spends_its_budget(shown: Spaces, name: str, budget: int) -> None:
    counted = [0]

    class Counted(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            observation, reward, terminated, truncated, info = super().step(action)
            counted[0] += spent(info) if terminated else 0
            return observation, reward, terminated, truncated, info

        def metagradient(self, *args: Any) -> Any:
            gradient, info = self.env.get_wrapper_attr("metagradient")(*args)
            counted[0] += spent(info)
            return gradient, info

    make_env = MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS).wrapped(Wrappers(Counted, Counted))  # type: ignore[arg-type]
    make_selector(name, shown).train(make_env, budget, 0, lambda *_: None)
    assert budget - 2 * EPISODE < counted[0] < budget + 2 * EPISODE


def test_the_exact_derivative_knows_the_columns_that_count(shown: Spaces) -> None:
    """The toy's usefulness is 0.7 of one column and 0.3 of another."""
    learner = trained("metagradient", shown, 0, budget=3000, noise=0.0)
    theta = dict(zip(learner.columns, learner.arms[0].theta, strict=True))
    assert sorted(theta, key=lambda name: -abs(theta[name]))[:2] == ["all_data_label", "domain_log_odds"]
    assert theta["all_data_label"] > theta["domain_log_odds"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_credit_and_rewards_teach_little(shown: Spaces, name: str) -> None:
    """An arm wins by chance; none knows the texts."""
    assert np.mean([share(trained(f"{name}@shuffled", shown, seed)) for seed in range(8)]) < 0.1


def test_it_acts_by_rules_and_directions_and_keeps_them(shown: Spaces, tmp_path: Path) -> None:
    observation = ToyEnv(**OPTIONS).reset(seed=0)[0]
    learner = cast(Influence, make_selector("influence", shown))
    assert np.array_equal(learner.act(observation), prior_of(shown, PRIOR)(observation))  # before any training
    nothing = np.zeros(len(learner.columns))
    learner.arms = [Choice("all-data-agrees", nothing)]
    agrees = observation["candidates"][:, shown.column("all_data_label")] > 0.5
    assert ((learner.act(observation) > 0) == agrees).all()
    learner.arms = [Choice("all-data-agrees", BOUND * (np.array(learner.columns) == "label=positive"))]
    positive = observation["candidates"][:, shown.column("label=positive")] == 1
    assert ((learner.act(observation) > 0) == positive).all()
    learner.arms, learner.shares = [*learner.arms, Choice("all-data-agrees", nothing)], np.array([0.75, 0.25])
    mixed = 0.75 * positive / positive.mean() + 0.25 * agrees / agrees.mean()
    np.testing.assert_allclose(learner.act(observation), mixed / mixed.max(), rtol=1e-6)
    learner.save(tmp_path)
    other = cast(Influence, make_selector("influence", shown))
    other.load(tmp_path)
    assert (other.act(observation) == learner.act(observation)).all()


def test_shares_follow_from_the_gains_in_the_race(shown: Spaces) -> None:
    learner, logs = cast(Influence, make_selector("influence", shown, scale=0.05)), list[dict[str, float]]()
    learner.train(MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS), BUDGET, 0, lambda _, values: logs.append(dict(values)))
    gains: dict[str, float] = {}
    for told in logs:
        means = {name.removeprefix("gain/"): gain for name, gain in told.items() if "gain/" in name}
        moved = np.mean([gain - gains[name] for name, gain in means.items()]) if gains else 0.0
        gains = {name: gain + moved for name, gain in gains.items()} | means
    odds = np.exp([gains[arm.name] / 0.05 for arm in learner.arms])
    np.testing.assert_allclose(learner.shares, odds / odds.sum())
    assert len(learner.arms) == len(gains) > 3
    assert (np.diff(learner.shares) <= 0).all()


def test_a_seed_that_is_kind_to_all_changes_no_share(shown: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second seed adds 1 to every gain; arms that were dropped after the first keep their distance."""
    learner, made = cast(Influence, make_selector("influence", shown)), []

    def race(arms: Any, budget: int, seeds: Any, told: Any) -> None:
        made.extend(arms)
        told(0, dict(zip(arms, [0.01, 0.02, 0.03], strict=False)))
        told(0, {made[1]: 0.52, made[2]: 0.53})

    monkeypatch.setattr("l2a_agents.influence.halve", race)
    learner.train(MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS), 6 * EPISODE, 0, lambda *_: None)
    odds = np.exp([0.01 / 0.02, 0, -0.01 / 0.02])
    assert [arm.name for arm in learner.arms] == made[2::-1]
    np.testing.assert_allclose(learner.shares, np.exp([0.5, 0, -0.5]) / odds.sum())


def test_without_a_scale_the_leader_acts_alone(shown: Spaces) -> None:
    learner = cast(Influence, make_selector("influence", shown, scale=0.0))
    learner.train(MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS), BUDGET, 0, lambda *_: None)
    assert learner.shares.tolist() == [1.0] + [0.0] * (len(learner.arms) - 1)


def test_what_is_left_of_a_budget_undoes_nothing(shown: Spaces, tmp_path: Path) -> None:
    learner = trained("influence", shown, 0)
    learner.save(tmp_path)
    other = cast(Influence, make_selector("influence", shown))
    other.load(tmp_path)
    other.train(MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS), 3 * EPISODE, 1, lambda *_: None)
    assert [arm.name for arm in other.arms] == [arm.name for arm in learner.arms]
    assert other.shares.tolist() == learner.shares.tolist()


def test_training_that_goes_on_races_what_it_had_found(shown: Spaces) -> None:
    learner = trained("influence", shown, 0)
    found, raced = learner.arms[0].name, set[str]()
    assert found != PRIOR
    learner.train(MakeEnv("l2a_gym:L2A-Toy-v0", **OPTIONS), BUDGET, 1, lambda _, values: raced.update(map(str, values)))
    assert f"gain/{found}" in raced
    assert share(learner) > 0.9


def test_metagradient_names_the_method_that_an_environment_lacks(shown: Spaces) -> None:
    class Bare(gym.Env[Any, Any]):
        def __str__(self) -> str:
            return "<Bare>"

    def make_env() -> Bare:
        return Bare()

    selector: Any = make_selector("metagradient", shown)
    with pytest.raises(
        ValueError, match=r"^metagradient needs an environment with the method metagradient\(\); <Bare> has"
    ):
        selector.train(make_env, BUDGET, 0, lambda *_: None)


def test_an_episode_that_ended_early_has_no_derivative(shown: Spaces) -> None:
    learner, player = cast(Metagradient, make_selector("metagradient", shown)), Player(ToyEnv(**OPTIONS))
    steps = player.play(learner.act, 0)[:5]
    assert not learner.credit(player, steps, 0).any()
    assert player.spent == EPISODE


def test_both_see_the_columns_that_they_ask_for() -> None:
    for name in NAMES:
        assert selector_class(name).env_options == OPTIONS
