"""PPO, A2C, SAC and TD3 of Stable-Baselines3 on the shared rule, with presets for about a hundred episodes.

They were tuned on seeds 100 and up, which no reported result uses: PPO's on a real task, the others on the toy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from stable_baselines3 import A2C, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from l2a_agents.rule import COLUMNS
from l2a_agents.sb3_rules import Config, OffPolicy, OffPolicyConfig, OnPolicy


@dataclass(frozen=True)
class PPOConfig(Config):
    """Hyper-parameters of PPO."""

    batch_size: int = 8  # episodes in a step of the gradient
    n_epochs: int = 8  # passes over the episodes of an update
    clip_range: float = 0.3  # how far the policy may move in an update
    ent_coef: float = 0.0  # weight of the policy's entropy
    vf_coef: float = 0.1  # weight of the values' loss


class PPOSelector(OnPolicy):
    """PPO over rules."""

    config_class = PPOConfig
    algorithm, file = PPO, "ppo.safetensors"


@dataclass(frozen=True)
class A2CConfig(Config):
    """Hyper-parameters of A2C."""

    learning_rate: float = 0.004  # of Adam
    ent_coef: float = 0.0  # weight of the policy's entropy
    vf_coef: float = 0.1  # weight of the values' loss


class A2CSelector(OnPolicy):
    """A2C over rules: one step of the gradient for each episode played."""

    config_class = A2CConfig
    algorithm, file = A2C, "a2c.safetensors"
    preset: ClassVar[Mapping[str, Any]] = {**OnPolicy.preset, "normalize_advantage": True, "use_rms_prop": False}


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Hyper-parameters of SAC and TQC."""

    gradient_steps: int = 64  # steps of the gradient in an update
    ent_coef: float = 0.1  # weight of the policy's entropy
    spread: float = 0.25  # deviation of the policy's rules at the start, in units of their bound; above 0


class SACSelector(OffPolicy):
    """SAC over rules."""

    config: SACConfig
    config_class = SACConfig
    algorithm: ClassVar[type[BaseAlgorithm]] = SAC
    kind: ClassVar[type[BasePolicy]] = SACPolicy
    file, mean = "sac.safetensors", "actor.mu"
    shape: ClassVar[Mapping[str, Any]] = {"net_arch": {"pi": [], "qf": [32]}}

    def _tuned(self) -> dict[str, Any]:
        return {name: value for name, value in super()._tuned().items() if name != "spread"}

    def _starts(self) -> dict[str, float]:
        return {**super()._starts(), "actor.log_std.weight": 0.0, "actor.log_std.bias": np.log(self.config.spread)}


@dataclass(frozen=True)
class TD3Config(OffPolicyConfig):
    """Hyper-parameters of TD3."""

    gradient_steps: int = 16  # steps of the gradient in an update
    noise: float = 0.5  # deviation with which rules are drawn around the policy's, in units of their bound


class TD3Selector(OffPolicy):
    """TD3 over rules."""

    config: TD3Config
    config_class = TD3Config
    algorithm, kind, file, mean = TD3, TD3Policy, "td3.safetensors", "actor.mu.0"
    shape: ClassVar[Mapping[str, Any]] = {"net_arch": {"pi": [], "qf": [64, 64]}}

    def _tuned(self) -> dict[str, Any]:
        arguments = super()._tuned()
        deviation = np.full(len(COLUMNS), arguments.pop("noise"))
        return arguments | {"action_noise": NormalActionNoise(np.zeros(len(COLUMNS)), deviation)}
