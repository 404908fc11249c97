"""Data valuation by reinforcement learning (Yoon, Arik and Pfister, 2020), read from top to bottom.

A network of one hidden layer gives each candidate, from its standardised columns z, a probability of being chosen:

    p(z) = sigmoid(v . tanh(W z + c) + d)

The output layer starts at zero: p = 1/2 for all. In training each candidate of each step is chosen (k = 1) with its p.
With R the episode's reward, b the moving average of rewards from the same seed and s the root mean square of the last
values of R - b, the loss of an episode is

    L = - (R - b) / s * sum_t sum_i [ k_ti ln p_ti + (1 - k_ti) ln (1 - p_ti) ]
        + penalty * ( max(m - 0.9, 0) + max(0.1 - m, 0) ),      m = mean of all p_ti

the gradient of whose first part is REINFORCE's; the second keeps the probabilities from being all 0 or all 1. The
probabilities are the weights with which it acts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from l2a_agents.rollout import means, rollout_batch, split, training_seeds
from l2a_agents.rule import COLUMNS, positions, standardise
from l2a_agents.selector import Action, Configured, Hyperparameters, Log, MakeEnv, Observation, Spaces, spent

Choices = list[tuple[Tensor, Tensor]]
"""Of an episode, step by step: what was shown, z (N, H), and what was chosen, k (N,)."""


@dataclass(frozen=True)
class Config(Hyperparameters):
    """Hyper-parameters of DVRL."""

    hidden: int = 8  # units of the hidden layer
    learning_rate: float = 0.03  # of Adam
    momentum: float = 0.9  # of the moving average of rewards
    penalty: float = 1000.0  # on a mean probability beyond ``threshold``, or below 1 - ``threshold``
    threshold: float = 0.9  # between 0.5 and 1


class DVRL(Configured):
    """Learns a value for each candidate from the rewards of random choices."""

    config: Config
    config_class = Config

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.where, hidden = positions(spaces), self.config.hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(len(COLUMNS), hidden), nn.Tanh(), nn.Linear(hidden, 1))
        for value in self.network[2].parameters():
            nn.init.zeros_(value)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The probabilities."""
        with torch.no_grad():
            weights: Action = torch.sigmoid(self._logits(self._columns(observation))).numpy()
        return weights

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn the probabilities; environments side by side play the same seed, each with choices of its own."""
        rng, seeds, envs = np.random.default_rng(seed), training_seeds(seed), make_env.vector(num_envs)
        optimizer = torch.optim.Adam(self.network.parameters(), self.config.learning_rate)
        baseline: dict[int, float] = {}
        recent: deque[float] = deque(maxlen=20)
        total, turn = 0, 0
        while total < budget:
            start = seeds[turn % len(seeds)]
            observations, _ = envs.reset(seed=[start] * num_envs)  # type: ignore[arg-type]  # its stubs know no lists
            choices: list[Choices] = [[] for _ in range(num_envs)]
            act = partial(self._choose_each, rng=rng, choices=choices)
            rewards, figures, _ = rollout_batch(envs, observations, act, max(1, self.spaces.steps // 2))
            total, turn = total + int(spent(figures).sum()), turn + 1
            advantages = rewards - baseline.setdefault(start, float(rewards.mean()))
            baseline[start] += (1 - self.config.momentum) * float(advantages.mean())
            recent.extend(advantages)
            scale = float(np.sqrt(np.mean(np.square(recent)))) + 1e-12
            terms = [self.loss(each, float(own)) for each, own in zip(choices, advantages / scale, strict=True)]
            loss = torch.stack(terms).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log(total, means([figures]) | {"reward": float(rewards.mean()), "baseline": baseline[start]})
        envs.close()

    def loss(self, choices: Choices, advantage: float) -> Tensor:
        """L of an episode; ``advantage`` is (R - b) / s."""
        logits = self._logits(torch.cat([z for z, _ in choices]))
        k = torch.cat([chosen for _, chosen in choices])
        log_likelihood = -nn.functional.binary_cross_entropy_with_logits(logits, k, reduction="sum")
        m = torch.sigmoid(logits).mean()
        threshold = self.config.threshold
        beyond = torch.relu(m - threshold) + torch.relu(1 - threshold - m)
        return self.config.penalty * beyond - advantage * log_likelihood

    def _choose_each(self, observations: Observation, rng: np.random.Generator, choices: list[Choices]) -> Action:
        """Choose in each of several environments."""
        each = zip(split(observations, len(choices)), choices, strict=True)
        return np.stack([self._choose(observation, rng, own) for observation, own in each])

    def _choose(self, observation: Observation, rng: np.random.Generator, choices: Choices) -> Action:
        """Choose at random, and keep the choice."""
        k = (rng.random(len(observation["candidates"])) < self.act(observation)).astype(np.float32)
        choices.append((self._columns(observation), torch.from_numpy(k)))
        return k

    def _columns(self, observation: Observation) -> Tensor:
        return torch.from_numpy(standardise(observation["candidates"][:, self.where]).astype(np.float32))

    def _logits(self, z: Tensor) -> Tensor:
        logits: Tensor = self.network(z)[:, 0]
        return logits

    def save(self, folder: Path) -> None:
        """Write ``dvrl.safetensors``."""
        save_file(self.network.state_dict(), folder / "dvrl.safetensors")

    def load(self, folder: Path) -> None:
        """Read ``dvrl.safetensors``."""
        self.network.load_state_dict(load_file(folder / "dvrl.safetensors"))
