"""Bayesian optimisation of static rules."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.selector import MakeEnv, Spaces

pytest.importorskip("optuna", reason="optuna is not installed (extra search)")
import optuna
from l2a_agents.bayes import EPISODES, Bayes, Config, Trial, propose

EPISODE = 1 + 10 * 2
"""What an episode of the toy costs."""
NOISY = MakeEnv("l2a_gym:L2A-Toy-v0", noise=0.03)


def trained(spaces: Spaces, make: MakeEnv, episodes: int, seed: int = 0, num_envs: int = 1) -> Bayes:
    selector = Bayes(spaces)
    selector.train(make, EPISODE * episodes, seed, lambda *_: None, num_envs)
    return selector


def test_it_finds_good_rules_in_few_noisy_episodes(spaces: Spaces, share: Any) -> None:
    assert share(Bayes(spaces)) < 0.1
    for seed in range(2):
        assert share(trained(spaces, NOISY, 40, seed)) > 0.85


def test_the_rewards_are_paired_with_the_uniform_rule_on_each_seed(make_toy: MakeEnv, spaces: Spaces) -> None:
    """Half of the seeds for a rule that does not beat the best, all of them for one that does."""
    selector = trained(spaces, make_toy, 40)
    plain = RuleEpisodes(make_toy, spaces, 0, num_envs=1 + len(selector.trials))
    plain.reset()
    rules = np.array([[0.0] * 6, *(trial["theta"] for trial in selector.trials)])
    rewards = np.array([plain.step(rules)[1] for _ in range(TRAINING_SEEDS)])
    paired = (rewards - rewards[:, :1])[:, 1:].T
    assert selector.trials[0] == {"theta": [0.0] * 6, "rewards": [0.0] * TRAINING_SEEDS}
    assert selector.theta.tolist() != [0.0] * 6
    best = 0.0
    for trial, own in zip(selector.trials[1:], paired[1:], strict=True):
        halves = [own[:EPISODES].tolist(), own[EPISODES:].tolist()]
        [first] = [i for i in (0, 1) if np.allclose(trial["rewards"][:EPISODES], halves[i], atol=1e-6)]
        if np.mean(halves[first]) > best:
            np.testing.assert_allclose(trial["rewards"], halves[first] + halves[1 - first], atol=1e-6)
            best = max(best, float(own.mean()))
        else:
            assert len(trial["rewards"]) == EPISODES
    whole = [trial for trial in selector.trials if len(trial["rewards"]) == TRAINING_SEEDS]
    assert selector.theta.tolist() == max(whole, key=lambda trial: np.mean(trial["rewards"]))["theta"]


def test_a_lucky_half_does_not_win(make_toy: MakeEnv, spaces: Spaces) -> None:
    """The rule whose half of the rewards promises most is played again, and falls behind."""
    selector = Bayes(spaces)
    lucky: Trial = {"theta": [-2.0] * 6, "rewards": [1e-3] * EPISODES}
    selector.trials.append(lucky)
    selector.train(make_toy, 1, 0, lambda *_: None)
    assert len(lucky["rewards"]) == TRAINING_SEEDS
    assert np.mean(lucky["rewards"]) < 0
    assert selector.theta.tolist() == [0.0] * 6


def test_the_model_finds_the_peak_of_a_noisy_parabola() -> None:
    rng = np.random.default_rng(0)
    peak = np.array([1.0, -1.0, 0.5, 0.0, 0.0, -0.5])
    thetas = np.clip(rng.normal(size=(60, 6)), -2, 2)
    rewards = -np.square(thetas - peak).sum(1) + 0.1 * rng.normal(size=60)
    trials: list[Trial] = [
        {"theta": theta.tolist(), "rewards": [reward]} for theta, reward in zip(thetas, rewards.tolist(), strict=True)
    ]
    [asked] = propose(trials, 1, 2.0, 0)
    assert np.abs(asked - peak).max() < 0.3
    several = propose(trials, 4, 2.0, 0)
    assert len({tuple(theta) for theta in several}) == 4
    assert np.abs(several).max() <= 2


@pytest.mark.parametrize("num_envs", [1, 3])
def test_every_unit_is_reported(make_toy: MakeEnv, spaces: Spaces, num_envs: int) -> None:
    """A round is two episodes of each environment; the first two rounds bring the controls of their seeds."""
    spent: list[int] = []
    Bayes(spaces).train(make_toy, EPISODE * 24, 0, lambda units, _: spent.append(units), num_envs)
    controls = {1: [2, 2], 3: [3, 3]}[num_envs]
    costs = [EPISODE * (EPISODES * num_envs + extra) for extra in controls]
    costs += [EPISODE * EPISODES * num_envs] * (len(spent) - 2)
    assert spent == np.cumsum(costs).tolist()
    assert spent[-2] < EPISODE * 24 <= spent[-1]


def test_the_seed_alone_decides_and_nothing_global_is_touched(spaces: Spaces) -> None:
    found = []
    for seed, state in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002
        random.seed(state)
        verbosity = optuna.logging.get_verbosity()
        found.append(trained(spaces, NOISY, 30, seed).trials)
        drawn = torch.rand(1).item(), np.random.random(), random.random()  # noqa: NPY002
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002
        random.seed(state)
        assert drawn == (torch.rand(1).item(), np.random.random(), random.random())  # noqa: NPY002
        assert optuna.logging.get_verbosity() == verbosity
    assert len(found[0]) > Config().startup + 2
    assert found[0] == found[1]
    assert found[0][1:] != found[2][1:]


def test_training_goes_on_with_the_saved_trials(
    make_toy: MakeEnv, spaces: Spaces, observation: dict[str, Any], tmp_path: Path
) -> None:
    selector, again = trained(spaces, make_toy, 24), Bayes(spaces)
    selector.save(tmp_path)
    again.load(tmp_path)
    assert again.trials == selector.trials
    assert np.array_equal(again.act(observation), selector.act(observation))
    assert not np.array_equal(again.act(observation), Bayes(spaces).act(observation))
    before = len(selector.trials)
    again.train(make_toy, EPISODE * 12, 1, lambda *_: None)
    assert again.trials[: before - 1] == selector.trials[: before - 1]
    assert len(again.trials) > before
    assert np.mean(again.best["rewards"]) >= np.mean(selector.best["rewards"])
