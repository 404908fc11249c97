"""Whole episodes under a rule as one decision, one at a time and side by side."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.rule import BOUND, apply_rule, positions
from l2a_agents.selector import MakeEnv, Spaces
from numpy.typing import NDArray

from l2a_gym.envs.toy import ToyEnv

THETA = np.array([[0.3, 2.0, -0.5, 0.2, 1.0, -0.7]], dtype=np.float32)
ZERO = np.zeros((1, 6), dtype=np.float32)


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


class Counting(MakeEnv):
    """Makes counted toys and keeps them."""

    def __init__(self) -> None:
        super().__init__("l2a_gym:L2A-Toy-v0")
        self.made: list[Counted] = []

    def __call__(self, **options: Any) -> Counted:
        self.made.append(Counted(ToyEnv(**options)))
        return self.made[-1]


def recomputed(spaces: Spaces, seed: int, theta: NDArray[np.float32]) -> float:
    """Mean gain after steps 6 to 10 of the toy, by its own formula of the gain."""
    env = ToyEnv()
    observation, _ = env.reset(seed=seed)
    gain, gains = 0.0, []
    for _ in range(10):
        weight = np.maximum(apply_rule(theta, observation, positions(spaces)), 0)
        gain += float(weight @ env.usefulness(observation)) / (32 * 10)
        gains.append(gain)
        observation, *_ = env.step(weight)
    return float(np.mean(gains[5:]))


def test_the_reward_is_the_mean_gain_of_the_second_half(spaces: Spaces) -> None:
    make = Counting()
    episodes = RuleEpisodes(make, spaces, seed=0, num_envs=3)
    thetas = np.concatenate([THETA, -THETA, ZERO])
    episodes.reset()
    _, rewards, terminated, truncated, infos = episodes.step(thetas)
    seed = make.made[0].seeds[0]
    assert seed is not None
    np.testing.assert_allclose(rewards, [recomputed(spaces, seed, theta) for theta in thetas], atol=1e-6)
    assert terminated.tolist() == [True] * 3
    assert truncated.tolist() == [False] * 3
    np.testing.assert_allclose(infos["final_info"]["gain"], 1 - infos["final_info"]["dev_nll"], atol=1e-9)


def seeds_of(spaces: Spaces, seed: int, number: int, num_envs: int = 1, **options: Any) -> list[list[int | None]]:
    """The seeds of ``number`` episodes, of each environment."""
    make = Counting()
    episodes = RuleEpisodes(make, spaces, seed, num_envs, **options)
    episodes.reset()
    for _ in range(number - 1):
        episodes.step(np.zeros((num_envs, 6)))
    return [env.seeds for env in make.made]


def test_all_environments_of_a_run_start_from_the_same_seeds_in_the_same_order(spaces: Spaces) -> None:
    [seeds] = seeds_of(spaces, 3, 2 * TRAINING_SEEDS)
    assert seeds_of(spaces, 3, 2 * TRAINING_SEEDS, num_envs=2) == [seeds, seeds]
    assert len(set(seeds)) == TRAINING_SEEDS
    assert seeds[:TRAINING_SEEDS] == seeds[TRAINING_SEEDS:]
    assert seeds_of(spaces, 3, 6, repeat=2) == [[seed for seed in seeds[:3] for _ in range(2)]]
    assert not set(seeds) & set(seeds_of(spaces, 4, TRAINING_SEEDS)[0])


def test_an_episode_does_not_depend_on_those_beside_it(spaces: Spaces, make_toy: MakeEnv) -> None:
    thetas = np.concatenate([THETA, -THETA, ZERO, 2 * THETA])
    together = RuleEpisodes(make_toy, spaces, 0, num_envs=4)
    together.reset()
    for _ in range(TRAINING_SEEDS + 1):
        rewards = together.step(thetas)[1]
    for theta, reward in zip(thetas, rewards, strict=True):
        alone = RuleEpisodes(make_toy, spaces, 0)
        alone.reset()
        for _ in range(TRAINING_SEEDS + 1):
            own = alone.step(theta[None])[1]
        assert own.tolist() == [reward]


@pytest.mark.parametrize("num_envs", [1, 2, 3])
def test_control_subtracts_the_uniform_rules_reward_exactly(make_toy: MakeEnv, spaces: Spaces, num_envs: int) -> None:
    plain, uniform = (RuleEpisodes(make_toy, spaces, 0) for _ in range(2))
    paired = RuleEpisodes(make_toy, spaces, 0, num_envs, control=True)
    for each in (plain, paired, uniform):
        each.reset()
    for _ in range(TRAINING_SEEDS + 2):
        base = uniform.step(ZERO)[1][0]
        assert base != 0
        expected = plain.step(THETA)[1][0] - base
        assert paired.step(np.repeat(THETA, num_envs, axis=0))[1].tolist() == [expected] * num_envs


@pytest.mark.parametrize("num_envs", [1, 2, 4, 8])
@pytest.mark.parametrize("control", [False, True])
def test_spent_counts_every_update_and_dev_pass(spaces: Spaces, control: bool, num_envs: int) -> None:
    make = Counting()
    episodes = RuleEpisodes(make, spaces, 0, num_envs, control=control)
    episodes.reset()
    for _ in range(TRAINING_SEEDS + 3):
        episodes.step(np.repeat(THETA, num_envs, axis=0))
        steps = sum(env.steps_taken for env in make.made)
        begun = sum(len(env.seeds) for env in make.made) - num_envs  # the next episodes wait
        assert episodes.spent == begun + 2 * steps
    extra = max(TRAINING_SEEDS, num_envs) if control else 0  # once a seed; each environment measures one of them
    assert steps == 10 * ((TRAINING_SEEDS + 3) * num_envs + extra)


def test_an_episode_that_ends_early_leaves_the_others_alone(spaces: Spaces) -> None:
    """The student of the first environment diverges in the third step."""

    class Diverging(Counted):
        def step(self, action: Any) -> Any:
            observation, reward, _, truncated, info = super().step(action)
            over = self.steps_taken % 10 in (3, 0)
            return observation, -1.0 if over else reward, over, truncated, info

    class Half(Counting):
        def __call__(self, **options: Any) -> Counted:
            kind = Counted if self.made else Diverging
            self.made.append(kind(ToyEnv(**options)))
            return self.made[-1]

    make, alone = Half(), RuleEpisodes(Counting(), spaces, 0)
    episodes = RuleEpisodes(make, spaces, 0, num_envs=2)
    for each in (episodes, alone):
        each.reset()
    whole = alone.step(THETA)
    _, rewards, *_, infos = episodes.step(np.repeat(THETA, 2, axis=0))
    assert rewards[1] == whole[1][0]
    assert infos["final_info"]["updates"].tolist() == [3, 10]
    gains = infos["final_info"]["gain"]
    assert rewards[0] == pytest.approx(gains[0])
    assert gains[0] < -0.9
    assert episodes.spent == 1 + 2 * 3 + 1 + 2 * 10


def test_observations_and_actions_lie_in_their_spaces(make_toy: MakeEnv, spaces: Spaces) -> None:
    episodes = RuleEpisodes(make_toy, spaces, 0, num_envs=2)
    observations, _ = episodes.reset()
    assert episodes.observation_space.contains(observations)
    assert episodes.single_action_space == gym.spaces.Box(-BOUND, BOUND, (6,), dtype=np.float32)
    assert episodes.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert episodes.observation_space.contains(episodes.step(np.repeat(THETA, 2, axis=0))[0])


def reward_of(make_toy: MakeEnv, spaces: Spaces, episode: int, theta: NDArray[np.float32]) -> float:
    episodes = RuleEpisodes(make_toy, spaces, 0)
    episodes.reset()
    for _ in range(episode):
        episodes.step(ZERO)
    return float(episodes.step(theta)[1][0])


def test_more_rules_than_environments_play_in_turn(make_toy: MakeEnv, spaces: Spaces) -> None:
    episodes = RuleEpisodes(make_toy, spaces, 0, num_envs=2)
    episodes.reset()
    rewards, figures = episodes.play(np.concatenate([THETA, -THETA, ZERO, THETA]))
    expected = [reward_of(make_toy, spaces, i, theta) for i, theta in ((0, THETA), (0, -THETA), (1, ZERO), (1, THETA))]
    assert rewards.tolist() == expected
    assert figures["updates"] == 10
