"""DVRL: its gradient against one written out by hand, its start, budget and seeds, and what it reaches on the toy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from l2a_agents.dvrl import DVRL, Choices, Config
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.rule import standardise
from l2a_agents.selector import MakeEnv, Spaces

EPISODE = 1 + 10 * 2
"""What an episode of the toy costs."""


def trained(spaces: Spaces, make: MakeEnv, episodes: int, seed: int = 0, num_envs: int = 1) -> DVRL:
    selector = DVRL(spaces)
    selector.train(make, EPISODE * episodes, seed, lambda *_: None, num_envs)
    return selector


def parameters(selector: DVRL) -> list[torch.Tensor]:
    return [value.detach().clone() for value in selector.network.parameters()]


def moved(spaces: Spaces, shift: float = 0.0) -> DVRL:
    """A network that is not at its start; ``shift`` is added to the output."""
    selector, random = DVRL(spaces), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in selector.network[2].parameters():
            value.copy_(torch.randn(value.shape, generator=random) / 2)
        selector.network[2].bias += shift
    return selector


def episode(seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    steps = [(rng.normal(size=(5, 6)), rng.random(5) < 0.5) for _ in range(3)]
    return [(torch.tensor(z, dtype=torch.float32), torch.tensor(k, dtype=torch.float32)) for z, k in steps]


def test_it_starts_with_the_same_probability_for_all(spaces: Spaces, observation: dict[str, Any]) -> None:
    assert DVRL(spaces).act(observation).tolist() == [0.5] * 32


def test_the_weights_are_the_formula(spaces: Spaces, observation: dict[str, Any]) -> None:
    selector = moved(spaces)
    w, c, v, d = (value.numpy() for value in parameters(selector))
    z = standardise(observation["candidates"][:, selector.where])
    expected = [1 / (1 + np.exp(-(v[0] @ np.tanh(w @ row + c) + d[0]))) for row in z]
    action = selector.act(observation)
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, expected, atol=1e-6)
    assert action.std() > 0.05


@pytest.mark.parametrize(("shift", "sign"), [(0.0, 0), (5.0, 1), (-5.0, -1)])
def test_the_gradient_is_that_of_reinforce_and_the_penalty(spaces: Spaces, shift: float, sign: int) -> None:
    """d L / d logit = - advantage * (k - p) + 1000 * sign * p (1 - p) / n, and then the chain rule by hand."""
    selector, choices, advantage = moved(spaces, shift), episode(), 0.7
    selector.loss(choices, advantage).backward()
    w, c, v, _ = (value.double().numpy() for value in parameters(selector))
    z = np.concatenate([each.numpy() for each, _ in choices]).astype(np.float64)
    k = np.concatenate([each.numpy() for _, each in choices])
    hidden = np.tanh(z @ w.T + c)
    p = 1 / (1 + np.exp(-(hidden @ v[0] + parameters(selector)[3].item())))
    assert np.sign(max(p.mean() - 0.9, 0) - max(0.1 - p.mean(), 0)) == sign
    slope = -advantage * (k - p) + 1000 * sign * p * (1 - p) / len(p)
    inner = slope[:, None] * v * (1 - hidden**2)
    expected = inner.T @ z, inner.sum(0), slope @ hidden, slope.sum()
    for value, by_hand in zip(selector.network.parameters(), expected, strict=True):
        assert value.grad is not None
        np.testing.assert_allclose(value.grad.numpy().reshape(np.shape(by_hand)), by_hand, rtol=1e-3, atol=1e-4)


def test_the_first_update_follows_the_first_rewards_that_differ(spaces: Spaces, make_toy: MakeEnv) -> None:
    """Alone, the first episode of each seed is its own baseline: the fifth episode is the first to move anything.

    Side by side, episodes of one seed are compared with their mean. Adam's first step is one rate long in each entry.
    """
    assert all(map(torch.equal, parameters(trained(spaces, make_toy, TRAINING_SEEDS)), parameters(DVRL(spaces))))
    assert not all(map(torch.equal, parameters(trained(spaces, make_toy, 5)), parameters(DVRL(spaces))))
    v = parameters(trained(spaces, make_toy, 2, num_envs=2))[2]
    assert v.shape == (1, Config().hidden)
    np.testing.assert_allclose(v.abs().numpy(), Config().learning_rate, rtol=1e-3)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_it_learns_to_choose(make_toy: MakeEnv, spaces: Spaces, share: Any, num_envs: int) -> None:
    assert share(DVRL(spaces)) < 0.1
    assert share(trained(spaces, make_toy, 100, num_envs=num_envs)) > 0.5


def test_the_penalty_alone_brings_the_mean_back(spaces: Spaces) -> None:
    for shift in (8.0, -8.0):
        selector, choices = moved(spaces, shift), episode()
        optimizer = torch.optim.SGD(selector.network.parameters(), 0.01)
        for _ in range(300):
            optimizer.zero_grad()
            selector.loss(choices, 0.0).backward()
            optimizer.step()
        z = torch.cat([each for each, _ in choices])
        mean = torch.sigmoid(selector.network(z)).mean().item()
        assert 0.09 < mean < 0.91


@pytest.mark.parametrize("num_envs", [1, 3])
def test_every_unit_is_reported(spaces: Spaces, num_envs: int) -> None:
    counts = {"reset": 0, "step": 0}

    class Counted(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **options: Any) -> Any:
            counts["reset"] += 1
            return super().reset(**options)

        def step(self, action: Any) -> Any:
            assert set(action.tolist()) <= {0.0, 1.0}
            counts["step"] += 1
            return super().step(action)

    class Counting(MakeEnv):
        def __call__(self, **options: Any) -> Any:
            return Counted(super().__call__(**options))

    spent: list[int] = []
    DVRL(spaces).train(
        Counting("l2a_gym:L2A-Toy-v0"), EPISODE * 7 + 1, 0, lambda units, _: spent.append(units), num_envs
    )
    assert spent[-1] == counts["reset"] + 2 * counts["step"]
    assert spent == [EPISODE * num_envs * (i + 1) for i in range(len(spent))]
    assert spent[-2] < EPISODE * 7 + 1 <= spent[-1]


def test_training_goes_on_from_what_was_saved(
    make_toy: MakeEnv, spaces: Spaces, observation: dict[str, Any], tmp_path: Path
) -> None:
    selector, again = trained(spaces, make_toy, 12), DVRL(spaces)
    selector.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dvrl.safetensors"]
    again.load(tmp_path)
    assert np.array_equal(again.act(observation), selector.act(observation))
    assert not np.array_equal(again.act(observation), DVRL(spaces).act(observation))
    again.train(make_toy, EPISODE, 1, lambda *_: None)  # its own baseline: no update
    assert all(map(torch.equal, parameters(again), parameters(selector)))
