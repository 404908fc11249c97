"""Stable-Baselines3 on the shared rule: each decision is the theta of an episode, given a summary of its start.

The summary does not depend on the candidates' order and the rule treats candidates alike, so the whole policy is
permutation equivariant. The reward is paired with the prior, theta = 0, on the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box
from safetensors.torch import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from l2a_agents.episodes import RuleEpisodes
from l2a_agents.prior import PRIOR, SHOWN, prior_of
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, positions, summary
from l2a_agents.sb3 import GymnasiumVecEnv
from l2a_agents.selector import Action, Configured, Hyperparameters, Log, MakeEnv, Observation, Spaces


@dataclass(frozen=True)
class Config(Hyperparameters):
    """Hyper-parameters of all."""

    prior: str = PRIOR  # the fixed rule whose weights theta moves away from; empty: 1/2 for all
    rollout: int = 8  # episodes between two updates of the policy
    learning_rate: float = 0.001  # of Adam


class OnPolicy(Configured):
    """An algorithm that learns from the episodes just played. A subclass names it and has its hyper-parameters.

    Attributes:
        algorithm: the algorithm.
        kind: its policies' class.
        preset: its arguments that are no hyper-parameters.
        shape: its policies' arguments.
        file: where the policy is saved.
        mean: the policy's linear layer from the summary to the mean rule.
    """

    config: Config
    env_options: Mapping[str, Any] = SHOWN
    algorithm: ClassVar[type[BaseAlgorithm]]
    kind: ClassVar[type[BasePolicy]] = ActorCriticPolicy
    preset: ClassVar[Mapping[str, Any]] = {"gamma": 1.0, "gae_lambda": 1.0}
    shape: ClassVar[Mapping[str, Any]] = {"net_arch": [], "log_std_init": 0.0}
    file: ClassVar[str]
    mean: ClassVar[str] = "action_net"

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        self.where, self.prior = positions(spaces), prior_of(spaces, self.config.prior)
        self.policy: BasePolicy | None = None
        self.theta = np.zeros(len(self.where), dtype=np.float32)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights under the rule that the policy chooses when an episode begins: its mean, or a drawn one."""
        if self.policy is not None and self.spaces.begins(observation):
            self.theta, _ = self.policy.predict(summary(observation), deterministic=deterministic)
        return apply_rule(self.theta, observation, self.where, self.prior(observation))

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn the policy."""
        episodes = RuleEpisodes(make_env, self.spaces, seed, num_envs, control=True, prior=self.prior)
        envs = GymnasiumVecEnv(episodes)
        with _global_generators_kept():
            rollout = max(1, self.config.rollout // num_envs)
            model = self._model(envs, rollout, seed)
            if self.policy is not None:  # training that was interrupted goes on
                model.policy.load_state_dict(self.policy.state_dict())
            self.policy = model.policy  # from here on, so that it can be saved meanwhile
            meter = _Meter(budget, episodes)
            model.set_logger(Logger(None, [_Forward(log, meter)]))
            model.learn(total_timesteps=10**9, callback=meter, log_interval=self._log_interval(rollout, num_envs))
            log(meter.spent, meter.figures)  # the rollout in which the budget ends is not reported otherwise
        envs.close()

    def _model(self, envs: GymnasiumVecEnv, rollout: int, seed: int) -> BaseAlgorithm:
        return self._new(envs, seed, n_steps=rollout)

    def _new(self, envs: VecEnv, seed: int, **arguments: Any) -> BaseAlgorithm:
        """The algorithm with its preset and hyper-parameters."""
        arguments = {"device": "cpu", "policy_kwargs": dict(self.shape), **self.preset, **self._tuned(), **arguments}
        return self.algorithm(self.kind, envs, seed=seed, **arguments)

    def _tuned(self) -> dict[str, Any]:
        """The hyper-parameters as the algorithm's arguments."""
        return {name: value for name, value in asdict(self.config).items() if name not in ("rollout", "prior")}

    def _log_interval(self, rollout: int, num_envs: int) -> int:
        """A line a rollout, as the algorithm counts: rollouts."""
        return 1

    def save(self, folder: Path) -> None:
        """Write the policy as safetensors, once there is one."""
        if self.policy is not None:
            save_file(self.policy.state_dict(), folder / self.file)

    def load(self, folder: Path) -> None:
        """Read the policy, where there is one."""
        if not (folder / self.file).is_file():
            return
        state = load_file(folder / self.file)
        size = state[f"{self.mean}.weight"].shape[1]
        spaces = Box(-np.inf, np.inf, (size,)), Box(-BOUND, BOUND, (len(COLUMNS),))
        with torch.random.fork_rng():  # the weights that are drawn first
            self.policy = self.kind(*spaces, lr_schedule=lambda _: 0.0, **self.shape)
        self.policy.load_state_dict(state)


@dataclass(frozen=True)
class OffPolicyConfig(Config):
    """Hyper-parameters of all that learn from a replay buffer."""

    batch_size: int = 32  # episodes in a step of the gradient
    buffer_size: int = 2000  # episodes that are kept


class OffPolicy(OnPolicy):
    """An algorithm that learns a critic from all episodes so far, and the policy from the critic.

    Rules are drawn around the policy's from the first episode on: uniform draws of theta, which the library would begin
    with, are most often near its bound. Rewards are divided by their running deviation, so that the preset holds
    whatever their scale.

    """

    preset: ClassVar[Mapping[str, Any]] = {"gamma": 1.0, "learning_starts": 0}

    def _model(self, envs: GymnasiumVecEnv, rollout: int, seed: int) -> BaseAlgorithm:
        model = self._new(VecNormalize(envs, norm_obs=False), seed, train_freq=(rollout, "step"))
        parameters = dict(model.policy.named_parameters())
        with torch.no_grad():
            for name, value in self._starts().items():
                parameters[name].fill_(value)
        return model

    def _starts(self) -> dict[str, float]:
        """Where the policy's layers start."""
        return {f"{self.mean}.weight": 0.0, f"{self.mean}.bias": 0.0}

    def _log_interval(self, rollout: int, num_envs: int) -> int:
        """A line a rollout, as the algorithm counts: episodes."""
        return rollout * num_envs


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


def is_figure(name: str, value: object) -> bool:
    """Whether a logged value says something of the training: no flag, and no count of Stable-Baselines3's own clock."""
    return isinstance(value, Real) and not isinstance(value, bool) and not name.startswith("time/")


class _Meter(BaseCallback):
    """Reads what the episodes spent, and ends training when the budget is."""

    def __init__(self, budget: int, episodes: RuleEpisodes) -> None:
        super().__init__()
        self.budget, self.episodes = budget, episodes
        self.figures: dict[str, float] = {}

    def _on_step(self) -> bool:
        infos, envs = self.locals["infos"], self.training_env
        rewards = envs.get_original_reward() if isinstance(envs, VecNormalize) else self.locals["rewards"]
        numbers = [name for name, value in infos[0].items() if is_figure(name, value)]
        self.figures = {name: float(np.mean([info[name] for info in infos])) for name in numbers}
        self.figures["reward"] = float(np.mean(rewards))
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
        numbers = {key: float(value) for key, value in key_values.items() if is_figure(key, value)}
        self.log(self.meter.spent, numbers | self.meter.figures)

    def close(self) -> None:
        """Nothing is open."""
