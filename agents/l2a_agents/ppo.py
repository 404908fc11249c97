"""Stable-Baselines3 PPO on the shared rule: each decision is the theta of an episode, given a summary of its start.

The summary does not depend on the candidates' order and the rule treats candidates alike, so the whole policy is
permutation equivariant. The reward is paired with the uniform rule on the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.policies import ActorCriticPolicy

from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions, summary
from l2a_agents.sb3 import GymnasiumVecEnv
from l2a_agents.selector import Action, Log, MakeEnv, Observation, Spaces, begins

PRESET: dict[str, Any] = {
    "batch_size": 8,
    "n_epochs": 8,
    "learning_rate": 0.001,
    "clip_range": 0.3,
    "ent_coef": 0.0,
    "vf_coef": 0.1,
    "gamma": 1.0,
    "gae_lambda": 1.0,
}
"""Tuned on seeds 100 and up, which no reported result uses."""
ROLLOUT = 8
"""Episodes between two updates of the policy."""
POLICY: dict[str, Any] = {"net_arch": [], "log_std_init": 0.0}


class PPOSelector:
    """PPO over rules."""

    env_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, spaces: Spaces) -> None:
        self.spaces, self.where = spaces, positions(spaces)
        self.policy: ActorCriticPolicy | None = None
        self.theta = np.zeros(len(self.where), dtype=np.float32)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights under the rule that the policy chooses when an episode begins: its mean, or a drawn one."""
        if self.policy is not None and begins(observation):
            self.theta, _ = self.policy.predict(summary(observation), deterministic=deterministic)
        return apply_rule(self.theta, observation, self.where)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn the policy."""
        episodes = RuleEpisodes(make_env, self.spaces, seed, num_envs, control=True)
        envs = GymnasiumVecEnv(episodes)
        with _global_generators_kept():
            rollout = max(1, ROLLOUT // num_envs)
            model = PPO("MlpPolicy", envs, n_steps=rollout, seed=seed, device="cpu", policy_kwargs=POLICY, **PRESET)
            if self.policy is not None:  # training that was interrupted goes on
                model.policy.load_state_dict(self.policy.state_dict())
            self.policy = model.policy  # from here on, so that it can be saved meanwhile
            meter = _Meter(budget, episodes)
            model.set_logger(Logger(None, [_Forward(log, meter)]))
            model.learn(total_timesteps=10**9, callback=meter, log_interval=1)
            log(meter.spent, meter.figures)  # the rollout in which the budget ends is not reported otherwise
        envs.close()

    def save(self, folder: Path) -> None:
        """Write ``ppo.safetensors``, once there is a policy."""
        if self.policy is not None:
            save_file(self.policy.state_dict(), folder / "ppo.safetensors")

    def load(self, folder: Path) -> None:
        """Read ``ppo.safetensors``, where there is one."""
        if not (folder / "ppo.safetensors").is_file():
            return
        state = load_file(folder / "ppo.safetensors")
        size = state["action_net.weight"].shape[1]
        spaces = Box(-np.inf, np.inf, (size,)), Box(-BOUND, BOUND, (len(COLUMNS),))
        self.policy = ActorCriticPolicy(*spaces, lr_schedule=lambda _: 0.0, **POLICY)
        self.policy.load_state_dict(state)


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Put the global random generators back, which Stable-Baselines3 seeds and draws from."""
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002 - the generator that it seeds
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002


class _Meter(BaseCallback):
    """Reads what the episodes spent, and ends training when the budget is."""

    def __init__(self, budget: int, episodes: RuleEpisodes) -> None:
        super().__init__()
        self.budget, self.episodes = budget, episodes
        self.figures: dict[str, float] = {}

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        numbers = [name for name, value in infos[0].items() if isinstance(value, int | float)]
        self.figures = {name: float(np.mean([info[name] for info in infos])) for name in numbers}
        self.figures["reward"] = float(np.mean(self.locals["rewards"]))
        return self.spent < self.budget

    @property
    def spent(self) -> int:
        """Student updates and dev passes so far."""
        return self.episodes.spent


class _Forward(KVWriter):
    """Hands what Stable-Baselines3 logs to the run's log."""

    def __init__(self, log: Log, meter: _Meter) -> None:
        self.log, self.meter = log, meter

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Forward the numbers."""
        numbers = {key: float(value) for key, value in key_values.items() if isinstance(value, int | float)}
        self.log(self.meter.spent, numbers | self.meter.figures)

    def close(self) -> None:
        """Nothing is open."""
