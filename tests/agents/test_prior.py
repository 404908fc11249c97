"""Learning that starts from a fixed rule: where it begins, what it moves away from, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.prior import PRIOR, SHOWN, half, prior_of, weighing_rules
from l2a_agents.registry import make_selector, selector_class
from l2a_agents.rollout import rollout
from l2a_agents.rule import apply_rule, positions, standardise
from l2a_agents.selector import MakeEnv, Spaces, Wrappers

from l2a_gym.envs.toy import ToyEnv

EPISODE = 1 + 10 * 2
LEARNERS = ("pgpe", "reinforce", "ppo", "a2c", "trpo", "sac", "td3", "tqc", "influence", "metagradient")
UNINFORMED = ("random-search", "cma-es", "bayes")
THETA = np.array([0.3, 0.2, -0.5, 0.2, 0.1, -0.7])


@pytest.fixture(scope="module")
def make_shown() -> MakeEnv:
    return MakeEnv("l2a_gym:L2A-Toy-v0", **SHOWN)


@pytest.fixture(scope="module")
def shown(make_shown: MakeEnv) -> Spaces:
    return Spaces.from_env(make_shown())


@pytest.fixture
def seen() -> dict[str, Any]:
    return ToyEnv(**SHOWN).reset(seed=5)[0]


@pytest.mark.parametrize("name", [*LEARNERS, *UNINFORMED])
def test_a_learner_begins_as_its_prior(
    shown: Spaces, seen: dict[str, Any], name: str, can_be_had: Callable[[str], None]
) -> None:
    """By default that is the balanced cross-fitted weight, or 1/2 for all where learning starts without any; never
    trained, it stays there."""
    can_be_had(name)
    p, label = (seen["candidates"][:, shown.column(each)] for each in ("cross_fitted_label", "label=positive"))
    weight = np.clip(2 * p - 0.5, 0, 1)
    for y in (0, 1):
        weight[label == y] /= weight[label == y].sum()
    weight, frozen = weight / weight.max(), make_selector(f"{name}@frozen", shown)
    frozen.train(MakeEnv(""), 100, 0, lambda *_: pytest.fail("it trains"))
    expected = weight if name in LEARNERS else 0.5 + 0 * weight
    np.testing.assert_allclose(frozen.act(seen), expected, atol=1e-6)
    for prior, start in (("", 0.5 + 0 * weight), (PRIOR, weight), ("uniform", 1 + 0 * weight)):
        np.testing.assert_allclose(make_selector(name, shown, prior=prior).act(seen), start, atol=1e-6)


@pytest.mark.parametrize("name", LEARNERS)
def test_learners_ask_for_what_rules_look_at(name: str, can_be_had: Callable[[str], None]) -> None:
    can_be_had(name)
    assert selector_class(name).env_options == SHOWN


def test_theta_moves_the_weights_away_from_the_prior(shown: Spaces, seen: dict[str, Any]) -> None:
    selector: Any = make_selector("pgpe", shown, prior="all-data-agrees")
    selector.theta = THETA
    agrees = seen["candidates"][:, shown.column("all_data_label")] > 0.5
    scores = standardise(seen["candidates"][:, positions(shown)]) @ THETA
    np.testing.assert_allclose(selector.act(seen), np.clip(agrees + scores / 2, -1, 1), atol=1e-6)


def test_rules_weigh_several_observations_at_once(shown: Spaces) -> None:
    env = ToyEnv(**SHOWN)
    several = [env.reset(seed=seed)[0] for seed in range(3)]
    together = {name: np.stack([each[name] for each in several]) for name in several[0]}
    for name in ("", *weighing_rules(shown)):
        act = prior_of(shown, name)
        np.testing.assert_array_equal(act(together), np.stack([act(each) for each in several]))


@pytest.mark.parametrize("num_envs", [1, 2])
def test_an_episode_of_theta_zero_is_one_of_the_prior(make_shown: MakeEnv, shown: Spaces, num_envs: int) -> None:
    prior = prior_of(shown, PRIOR)
    plain, paired = (RuleEpisodes(make_shown, shown, 0, num_envs, control, prior=prior) for control in (False, True))
    zero, moved = np.zeros((num_envs, 6)), np.repeat(THETA[None], num_envs, axis=0)
    plain.reset()
    seed = plain.seeds[0]
    gains = np.cumsum([step.reward for step in rollout(ToyEnv(**SHOWN), prior, seed)])
    reward = plain.step(zero)[1]
    np.testing.assert_allclose(reward, gains[-5:].mean(), atol=1e-6)
    paired.reset()
    assert not paired.step(zero)[1].any()
    assert (plain.step(moved)[1] != 0).all()


def test_reinforce_flips_coins_around_the_prior(shown: Spaces, seen: dict[str, Any]) -> None:
    selector: Any = make_selector("reinforce", shown)
    z, p = selector._probabilities(seen)
    np.testing.assert_allclose(p, np.clip(selector.act(seen), 0.05, 0.95), atol=1e-6)
    selector.theta = THETA
    prior = prior_of(shown, PRIOR)(seen)
    np.testing.assert_allclose(selector._probabilities(seen)[1], np.clip(prior + z @ THETA / 2, 0.05, 0.95))


def test_reinforce_goes_back_to_its_prior_where_rewards_say_nothing(shown: Spaces) -> None:
    """Equal rewards have no gradient; each step then takes 0.1 * 0.3 of theta away, but not without a prior."""

    class Constant(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            observation, _, *rest = super().step(action)
            return observation, 0.5, *rest

    make_env = MakeEnv("l2a_gym:L2A-Toy-v0", **SHOWN).wrapped(Wrappers(Constant, Constant))  # type: ignore[arg-type]
    for prior, left in ((PRIOR, 0.97**3), ("", 1)):
        selector: Any = make_selector("reinforce", shown, prior=prior)
        selector.theta = THETA
        selector.train(make_env, 3 * EPISODE, 0, lambda *_: None)
        np.testing.assert_allclose(selector.theta, left * THETA)


@pytest.mark.parametrize("name", ["pgpe", "ppo"])
def test_a_good_prior_is_ahead_when_episodes_are_few(
    make_shown: MakeEnv, shown: Spaces, name: str, can_be_had: Callable[[str], None]
) -> None:
    """Share of the best return after 20 episodes, the mean of two trainings."""
    can_be_had(name)
    env, found = ToyEnv(**SHOWN), []
    for prior in ("", PRIOR):
        shares = []
        for seed in range(2):
            selector = make_selector(name, shown, prior=prior)
            selector.train(make_shown, 20 * EPISODE, seed, lambda *_: None)
            total = sum(step.reward for step in rollout(env, selector.act, 1000))
            shares.append(total / env.optimal_return(1000))
        found.append(np.mean(shares))
    assert found[1] > found[0] + 0.05
    assert found[1] > 0.7


@pytest.mark.parametrize(
    ("name", "theta"),
    [
        ("pgpe", [0.88666432, 0.5060211, 0.01551288, -0.24606136, 0.20967156, 0.19918475]),
        ("reinforce", [0.17731552, 0.02633747, -0.04626798, 0.39073996, 0.37340762, 0.02973269]),
    ],
)
def test_without_a_prior_training_is_what_it_was_before_there_were_priors(
    spaces: Spaces, name: str, theta: list[float]
) -> None:
    selector: Any = make_selector(name, spaces, prior="")
    selector.train(MakeEnv("l2a_gym:L2A-Toy-v0", noise=0.01), 20 * EPISODE, 0, lambda *_: None)
    np.testing.assert_allclose(selector.theta, theta, atol=1e-7)


def test_a_prior_that_is_not_shown_or_not_known_is_named(spaces: Spaces, shown: Spaces, seen: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^this selector needs the column 'label_share'; the environment "):
        make_selector("random-search", spaces, prior=PRIOR)
    for name in ("pgpe", "ppo", "influence"):
        with pytest.raises(ValueError, match=r"^unknown prior 'unifrom': did you mean 'uniform'\? valid are uniform, "):
            make_selector(name, shown, prior="unifrom")
    assert prior_of(spaces, "without-near")(seen).shape == (32,)
    assert np.array_equal(
        apply_rule(THETA, seen, positions(shown)), apply_rule(THETA, seen, positions(shown), half(seen))
    )
