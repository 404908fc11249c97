"""Stable-Baselines3 over rules: start, scale of rewards, budget, file, and what each algorithm reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.registry import make_selector, selector_class
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.selector import MakeEnv, Spaces
from safetensors import safe_open

pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed (extra sb3)")
from l2a_agents.sb3_rules import Config, OnPolicy

EPISODE = 1 + 10 * 2
ON_POLICY, OFF_POLICY = ("ppo", "a2c", "trpo"), ("sac", "td3", "tqc")


@pytest.fixture(params=[*ON_POLICY, *OFF_POLICY])
def kind(request: pytest.FixtureRequest, can_be_had: Callable[[str], None]) -> type[OnPolicy]:
    can_be_had(request.param)
    return selector_class(request.param)  # type: ignore[return-value]


@pytest.fixture(params=OFF_POLICY)
def off_policy(request: pytest.FixtureRequest, can_be_had: Callable[[str], None]) -> type[OnPolicy]:
    can_be_had(request.param)
    return selector_class(request.param)  # type: ignore[return-value]


def without_prior(kind: type[Any], spaces: Spaces) -> Any:
    """One that starts from 1/2 for all."""
    return kind(spaces, kind.config_class(prior=""))


def parameters(selector: OnPolicy) -> dict[str, torch.Tensor]:
    assert selector.policy is not None
    return {name: value.clone() for name, value in selector.policy.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def trained(
    kind: type[OnPolicy], make: MakeEnv, spaces: Spaces, episodes: int, seed: int = 0, **settings: Any
) -> OnPolicy:
    selector = without_prior(kind, spaces)
    selector.train(make, EPISODE * episodes, seed, lambda *_: None, **settings)
    return selector


def test_a_hundred_episodes_are_enough(kind: type[OnPolicy], make_toy: MakeEnv, spaces: Spaces, share: Any) -> None:
    assert share(without_prior(kind, spaces)) < 0.1
    assert share(trained(kind, make_toy, spaces, 80)) > 0.75


@pytest.mark.parametrize("name", ["ppo", "td3"])
def test_as_many_are_enough_side_by_side(
    make_toy: MakeEnv, spaces: Spaces, share: Any, name: str, can_be_had: Callable[[str], None]
) -> None:
    can_be_had(name)
    assert share(trained(selector_class(name), make_toy, spaces, 80, num_envs=4)) > 0.75  # type: ignore[arg-type]


def test_off_policy_training_starts_at_the_uniform_rule(
    off_policy: type[OnPolicy], make_toy: MakeEnv, spaces: Spaces, start: dict[str, Any]
) -> None:
    """Training that ends before the first update leaves theta = 0, exactly."""
    assert trained(off_policy, make_toy, spaces, 3).act(start).tolist() == [0.5] * 32


@pytest.mark.parametrize("name", ["sac", "tqc"])
def test_rules_are_drawn_around_the_uniform_one_from_the_first_episode(
    make_toy: MakeEnv, spaces: Spaces, start: dict[str, Any], name: str, can_be_had: Callable[[str], None]
) -> None:
    """theta = 4 tanh(x), x ~ N(0, 1/4^2): the deviation is 0.94. Uniform draws from [-4, 4] would have 2.3."""
    can_be_had(name)
    selector, thetas = trained(selector_class(name), make_toy, spaces, 1), []  # type: ignore[arg-type]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(300):
            selector.act(start, deterministic=False)
            thetas.append(selector.theta.copy())
    expected = (4 * np.tanh(np.random.default_rng(0).normal(0, 0.25, 10**5))).std()
    assert np.abs(np.mean(thetas, axis=0)).max() < 4 * expected / 300**0.5
    np.testing.assert_allclose(np.std(thetas, axis=0), expected, rtol=0.15)


def test_off_policy_training_does_not_depend_on_the_scale_of_rewards(
    off_policy: type[OnPolicy], make_toy: MakeEnv, spaces: Spaces, start: dict[str, Any]
) -> None:
    """A power of two scales without rounding; what is left is the constant that guards a division by zero."""

    class Scaled(MakeEnv):
        def __call__(self, **options: Any) -> Any:
            return gym.wrappers.TransformReward(super().__call__(**options), lambda reward: 1024 * float(reward))

    plain, scaled = (trained(off_policy, make, spaces, 16) for make in (make_toy, Scaled(make_toy.name)))
    np.testing.assert_allclose(scaled.act(start), plain.act(start), atol=0.02)
    assert np.std(plain.act(start)) > 0.1


def test_the_reward_that_is_reported_is_not_scaled(
    off_policy: type[OnPolicy], make_toy: MakeEnv, spaces: Spaces
) -> None:
    """The first seed's first episode is the only one: its reward is its own less the uniform rule's, below 1 / 2."""
    rows: list[dict[str, float]] = []
    without_prior(off_policy, spaces).train(make_toy, 1, 0, lambda _, values: rows.append(values))
    episodes = RuleEpisodes(make_toy, spaces, 0)
    episodes.reset()
    *_, infos = episodes.step(np.zeros((1, 6)))
    gain = infos["final_info"]["gain"][0]
    assert 0 < abs(rows[-1]["reward"]) < abs(rows[-1]["gain"] - gain)  # a mean of the second half; the gain grows


def test_every_unit_is_reported(kind: type[OnPolicy], spaces: Spaces) -> None:
    """The first episode from each seed brings its control; a rollout is a line, and the last episode another."""
    steps = resets = 0

    class Counted(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **options: Any) -> Any:
            nonlocal resets
            resets += 1
            return super().reset(**options)

        def step(self, action: Any) -> Any:
            nonlocal steps
            steps += 1
            return super().step(action)

    class Counting(MakeEnv):
        def __call__(self, **options: Any) -> Any:
            return Counted(super().__call__(**options))

    spent: list[int] = []
    without_prior(kind, spaces).train(
        Counting("l2a_gym:L2A-Toy-v0"), EPISODE * 20 + 1, 0, lambda units, _: spent.append(units)
    )
    assert spent[0] == EPISODE * (Config().rollout + TRAINING_SEEDS)
    assert EPISODE * 20 + 1 <= spent[-1] <= EPISODE * 21
    assert spent[-1] == resets - 1 + 2 * steps  # one episode waits


def test_the_saved_file_is_safetensors_alone_and_acts_the_same(
    kind: type[OnPolicy], make_toy: MakeEnv, spaces: Spaces, start: dict[str, Any], tmp_path: Path
) -> None:
    selector, again = trained(kind, make_toy, spaces, 16), without_prior(kind, spaces)
    selector.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [kind.file]
    with safe_open(tmp_path / kind.file, "pt") as file:
        assert set(file.keys()) == set(parameters(selector))
    before = torch.get_rng_state()
    again.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(again.act(start), selector.act(start))
    assert not np.array_equal(again.act(start), without_prior(kind, spaces).act(start))
    again.train(make_toy, EPISODE, 1, lambda *_: None)  # too little for an update: goes on from what was loaded
    assert same(parameters(again), parameters(selector))


def test_hyperparameters_reach_the_algorithm(
    make_toy: MakeEnv, spaces: Spaces, can_be_had: Callable[[str], None]
) -> None:
    """A policy that learns at rate 0 stays where it starts; the first update comes after two episodes, not eight."""
    spent: list[int] = []
    selector: Any = make_selector("ppo", spaces, prior="", learning_rate=0.0, rollout=2, batch_size=2)
    selector.train(make_toy, EPISODE * 12, 0, lambda units, _: spent.append(units))
    start: Any = make_selector("ppo", spaces, prior="")
    start.train(make_toy, EPISODE, 0, lambda *_: None)
    assert same(parameters(selector), parameters(start))
    assert spent[0] == EPISODE * (2 + 2)  # from two seeds, each with its control
