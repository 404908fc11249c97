"""PGPE and REINFORCE: gradients against independent computations, budgets, and what they reach on the toy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.pgpe import PGPE
from l2a_agents.reinforce import Config, Reinforce
from l2a_agents.rule import StaticRule, standardise
from l2a_agents.selector import MakeEnv, Spaces
from numpy.typing import NDArray

from l2a_gym.envs.toy import ToyEnv

EPISODE = 1 + 10 * 2
"""What an episode of the toy costs: a dev pass at the start, an update and a dev pass in each of ten steps."""


class Log:
    """Keeps what a selector reports."""

    def __init__(self) -> None:
        self.spent: list[int] = []
        self.values: list[dict[str, float]] = []

    def __call__(self, spent: int, values: dict[str, float]) -> None:
        self.spent.append(spent)
        self.values.append(values)

    def thetas(self) -> NDArray[np.float64]:
        return np.array([[v for name, v in row.items() if name.startswith("theta/")] for row in self.values])


class Recorded(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps (observation, action, reward) of every step, episode by episode."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.episodes: list[list[tuple[Any, Any, float]]] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.episodes.append([])
        self.seen, info = super().reset(seed=seed, options=options)
        return self.seen, info

    def step(self, action: Any) -> Any:
        seen = self.seen
        self.seen, reward, *rest = super().step(action)
        self.episodes[-1].append((seen["candidates"].copy(), action.copy(), float(reward)))
        return (self.seen, reward, *rest)


def without_prior(kind: type[Any], spaces: Spaces) -> Any:
    """A selector that starts from 1/2 for all."""
    return kind(spaces, kind.config_class(prior=""))


def cosine_with_usefulness(theta: NDArray[np.float64], where: list[int]) -> float:
    """Cosine of the rule's scores and u, both less their means, over 4000 candidates."""
    env = ToyEnv(candidates=4000, steps=1)
    observation, _ = env.reset(seed=77)
    score, u = standardise(observation["candidates"][:, where]) @ theta, env.usefulness(observation)
    return float(np.corrcoef(score, u)[0, 1])


# PGPE


def test_one_pair_moves_theta_along_its_better_half(make_toy: MakeEnv, spaces: Spaces) -> None:
    """The first pair's difference is its own scale: theta = rate * sign(G+ - G-) * e."""
    for seed in range(4):
        selector, log = without_prior(PGPE, spaces), Log()
        selector.train(make_toy, 1, seed, log)
        noise = np.random.default_rng(seed).normal(size=6)
        pair = RuleEpisodes(make_toy, spaces, seed, num_envs=2)
        pair.reset()
        rewards = pair.step(np.array([0.7 * noise, -0.7 * noise], dtype=np.float32))[1]
        expected = 0.08 * np.sign(rewards[0] - rewards[1]) * noise
        np.testing.assert_allclose(selector.theta, expected, rtol=1e-9)
        assert log.spent == [2 * EPISODE]
        assert log.values[0]["reward"] == pytest.approx(np.mean(rewards), abs=1e-9)
        assert log.values[0]["difference"] == pytest.approx(abs(rewards[0] - rewards[1]) / 2, abs=1e-9)


def test_theta_turns_towards_usefulness(make_toy: MakeEnv, spaces: Spaces) -> None:
    cosines = []
    for seed in range(3):
        selector, log = without_prior(PGPE, spaces), Log()
        selector.train(make_toy, EPISODE * 100, seed, log)
        cosines.append([cosine_with_usefulness(theta, selector.where) for theta in log.thetas()[[4, 14, 49]]])
    after_10, after_30, after_100 = np.mean(cosines, axis=0)
    assert 0.3 < after_10 < after_30 < after_100
    assert after_100 > 0.9


def test_it_reaches_the_line_on_the_toy(make_toy: MakeEnv, spaces: Spaces, share: Any) -> None:
    selector = without_prior(PGPE, spaces)
    assert share(selector) < 0.1
    selector.train(make_toy, EPISODE * 150, 0, Log())
    assert share(selector) >= 0.95


def test_two_environments_learn_what_one_learns(make_toy: MakeEnv, spaces: Spaces) -> None:
    """Of two environments each plays one half of every pair; the seeds and the draws are the same."""
    alone, together, log = without_prior(PGPE, spaces), without_prior(PGPE, spaces), Log()
    alone.train(make_toy, EPISODE * 40, 0, Log())
    together.train(make_toy, EPISODE * 40, 0, log, num_envs=2)
    np.testing.assert_allclose(together.theta, alone.theta, rtol=1e-9)
    assert log.spent[0] == 2 * EPISODE
    assert log.spent[-1] == EPISODE * 40


# REINFORCE


def log_likelihood(theta: NDArray[np.float64], steps: list[Any], where: list[int]) -> NDArray[np.float64]:
    """Of the choices of each step."""
    result = []
    for candidates, action, _ in steps:
        p = np.clip((1 + standardise(candidates[:, where]) @ theta) / 2, 0.05, 0.95)
        result.append(np.log(np.where(action > 0, p, 1 - p)).sum())
    return np.array(result)


def to_go(steps: list[Any]) -> NDArray[np.float64]:
    rewards = np.array([reward for _, _, reward in steps])
    return np.array([rewards[t:].sum() for t in range(len(rewards))])


def test_the_step_is_the_likelihoods_numerical_gradient_times_the_advantage(make_toy: MakeEnv, spaces: Spaces) -> None:
    recorders: list[Recorded] = []

    class Recording(MakeEnv):
        def __call__(self, **options: Any) -> Recorded:
            recorders.append(Recorded(super().__call__(**options)))
            return recorders[-1]

    selector, log = without_prior(Reinforce, spaces), Log()
    selector.train(Recording(make_toy.name), EPISODE * 4 - 5, 0, log)
    [recorder] = recorders
    thetas = np.concatenate([np.zeros((1, 6)), log.thetas()])
    assert len(recorder.episodes) == 4
    np.testing.assert_array_equal(thetas[1], 0)  # the first episode is its own baseline
    baseline = to_go(recorder.episodes[0])
    for episode in (1, 2, 3):
        steps = recorder.episodes[episode]
        returns = to_go(steps)
        gradient = np.zeros(6)
        for i, nudge in enumerate(np.eye(6) * 1e-6):
            up, down = (log_likelihood(thetas[episode] + s * nudge, steps, selector.where) for s in (1, -1))
            gradient[i] = (returns - baseline) @ (up - down) / 2e-6
        expected = thetas[episode] + 0.1 * gradient / np.linalg.norm(gradient)
        np.testing.assert_allclose(thetas[episode + 1], expected, atol=1e-5)
        baseline = 0.9 * baseline + 0.1 * returns


def test_the_entropy_bonus_pulls_towards_chance(make_toy: MakeEnv, spaces: Spaces) -> None:
    """With nothing but the bonus, theta shrinks until the choices are coin flips."""
    selector, log = Reinforce(spaces, Config(prior="", entropy=1e6, learning_rate=0.05)), Log()
    selector.theta = np.array([0.5, -0.4, 0.3, 0.2, -0.3, 0.0])
    selector.train(make_toy, EPISODE * 30, 0, log)
    assert np.abs(selector.theta).max() < 0.1
    assert log.values[-1]["entropy"] > log.values[0]["entropy"]
    assert log.values[-1]["entropy"] == pytest.approx(np.log(2), abs=0.01)


def test_choices_for_each_candidate_learn_slowly_but_rightly(make_toy: MakeEnv, spaces: Spaces, share: Any) -> None:
    selector = without_prior(Reinforce, spaces)
    selector.train(make_toy, EPISODE * 150, 0, Log())
    assert cosine_with_usefulness(selector.theta, selector.where) > 0.3


# Both


@pytest.mark.parametrize(("kind", "iteration"), [(PGPE, 2 * EPISODE), (Reinforce, EPISODE)])
@pytest.mark.parametrize("budget", [1, EPISODE * 2, EPISODE * 5 + 3])
def test_training_ends_with_the_iteration_that_spends_the_budget(
    make_toy: MakeEnv, spaces: Spaces, kind: type[StaticRule], iteration: int, budget: int
) -> None:
    log = Log()
    without_prior(kind, spaces).train(make_toy, budget, 0, log)
    assert budget <= log.spent[-1] < budget + iteration
    assert log.spent == [iteration * (i + 1) for i in range(len(log.spent))]
    names = {"reward", "entropy", "selected", "theta/all_data_label"}
    assert all(names <= set(row) and np.isfinite(list(row.values())).all() for row in log.values)


@pytest.mark.parametrize("kind", [PGPE, Reinforce])
def test_what_was_saved_acts_the_same(
    make_toy: MakeEnv, spaces: Spaces, observation: dict[str, Any], tmp_path: Path, kind: type[StaticRule]
) -> None:
    selector, again = without_prior(kind, spaces), without_prior(kind, spaces)
    selector.train(make_toy, EPISODE * 10, 0, Log())
    selector.save(tmp_path)
    again.load(tmp_path)
    assert np.array_equal(again.act(observation), selector.act(observation))
    assert not np.array_equal(again.act(observation), without_prior(kind, spaces).act(observation))
    [file] = tmp_path.iterdir()
    saved = json.loads(file.read_text())
    assert saved["columns"][1] == "all_data_label"
    assert saved["config"] == asdict(selector.config)
