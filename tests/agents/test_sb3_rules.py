"""PPO over rules: what it reaches on the toy, its file, its budget, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.rule import apply_rule, positions
from l2a_agents.selector import MakeEnv, Spaces

pytest.importorskip("stable_baselines3", reason="stable_baselines3 is not installed (extra sb3)")
from l2a_agents.sb3_presets import PPOConfig, PPOSelector
from l2a_agents.sb3_rules import Config

EPISODE = 1 + 10 * 2


@pytest.fixture(scope="module")
def trained(make_toy: MakeEnv, spaces: Spaces) -> tuple[PPOSelector, list[int]]:
    selector, spent = without_prior(spaces), []
    selector.train(make_toy, EPISODE * 300, 0, lambda units, _: spent.append(units))
    return selector, spent


def without_prior(spaces: Spaces) -> PPOSelector:
    """One that starts from 1/2 for all."""
    return PPOSelector(spaces, PPOConfig(prior=""))


def parameters(selector: PPOSelector) -> dict[str, torch.Tensor]:
    assert selector.policy is not None
    return {name: value.clone() for name, value in selector.policy.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_it_reaches_the_line_on_the_toy(trained: tuple[PPOSelector, list[int]], spaces: Spaces, share: Any) -> None:
    assert share(without_prior(spaces)) < 0.1
    assert share(trained[0]) >= 0.95


def test_figures_are_numbers_of_the_training(make_toy: MakeEnv, spaces: Spaces) -> None:
    """No flag of an episode, and not the library's clock, whose steps are episodes here."""
    logged: dict[str, float] = {}
    without_prior(spaces).train(make_toy, EPISODE * 3 * Config().rollout, 0, lambda _, values: logged.update(values))
    assert {"reward", "gain", "train/approx_kl"} <= set(logged)
    assert not [name for name in logged if name.startswith("time/") or "truncated" in name]


def test_an_untrained_policy_weights_all_alike(spaces: Spaces, observation: dict[str, Any]) -> None:
    assert without_prior(spaces).act(observation).tolist() == [0.5] * 32


def test_permutation_of_candidates_permutes_the_action(
    trained: tuple[PPOSelector, list[int]], start: dict[str, Any]
) -> None:
    action = trained[0].act(start)
    assert len(np.unique(action)) > 2
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(32)
        shuffled = start | {"candidates": start["candidates"][order]}
        np.testing.assert_allclose(trained[0].act(shuffled), action[order], rtol=0, atol=1e-5)


def test_drawn_rules_differ_and_the_mean_rule_does_not(
    trained: tuple[PPOSelector, list[int]], start: dict[str, Any]
) -> None:
    drawn = {trained[0].act(start, deterministic=False).tobytes() for _ in range(5)}
    assert len(drawn) == 5
    assert len({trained[0].act(start).tobytes() for _ in range(5)}) == 1


def test_a_rule_holds_for_the_whole_episode(
    trained: tuple[PPOSelector, list[int]], spaces: Spaces, start: dict[str, Any], observation: dict[str, Any]
) -> None:
    trained[0].act(start, deterministic=False)
    theta = trained[0].theta.copy()
    action = trained[0].act(observation, deterministic=False)
    assert np.array_equal(action, apply_rule(theta, observation, positions(spaces)))


def test_the_budget_is_spent_and_reported_to_the_last_episode(
    trained: tuple[PPOSelector, list[int]], make_toy: MakeEnv, spaces: Spaces
) -> None:
    """The first episode from each seed brings its control."""
    spent = trained[1]
    assert spent == sorted(spent)
    assert EPISODE * 300 <= spent[-1] < EPISODE * 301
    assert spent[0] == EPISODE * (Config().rollout + TRAINING_SEEDS)
    for budget in (1, EPISODE * 20 + 1):
        units: list[int] = []
        without_prior(spaces).train(make_toy, budget, 0, lambda spent, _, units=units: units.append(spent))
        assert budget <= units[-1] < budget + 2 * EPISODE


def test_it_can_be_saved_while_it_trains(make_toy: MakeEnv, spaces: Spaces, tmp_path: Path) -> None:
    selector = without_prior(spaces)

    def stop(spent: int, _: dict[str, float]) -> None:
        selector.save(tmp_path)
        if spent > EPISODE * 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        selector.train(make_toy, EPISODE * 1000, 0, stop)
    again = without_prior(spaces)
    again.load(tmp_path)
    assert same(parameters(again), parameters(selector))
