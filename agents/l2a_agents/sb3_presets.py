"""PPO, A2C, SAC and TD3 of Stable-Baselines3 on the shared rule, with presets for about a hundred episodes.

They were tuned on seeds 100 and up, which no reported result uses: PPO's on a real task, the others on the toy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from stable_baselines3 import A2C, PPO, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from l2a_agents.rule import COLUMNS
from l2a_agents.sb3_rules import OffPolicy, OnPolicy


class PPOSelector(OnPolicy):
    """PPO over rules."""

    algorithm = PPO
    file = "ppo.safetensors"
    preset: ClassVar[Mapping[str, Any]] = {
        "batch_size": 8,
        "n_epochs": 8,
        "learning_rate": 0.001,
        "clip_range": 0.3,
        "ent_coef": 0.0,
        "vf_coef": 0.1,
        "gamma": 1.0,
        "gae_lambda": 1.0,
    }


class A2CSelector(OnPolicy):
    """A2C over rules: one step of the gradient for each episode played."""

    algorithm = A2C
    file = "a2c.safetensors"
    preset: ClassVar[Mapping[str, Any]] = {
        "learning_rate": 0.004,
        "normalize_advantage": True,
        "use_rms_prop": False,
        "ent_coef": 0.0,
        "vf_coef": 0.1,
        "gamma": 1.0,
        "gae_lambda": 1.0,
    }


REPLAY: dict[str, Any] = {"buffer_size": 2000, "batch_size": 32, "learning_rate": 0.001, "gamma": 1.0}
"""Of all off-policy presets."""


class SACSelector(OffPolicy):
    """SAC over rules."""

    algorithm, kind = SAC, SACPolicy
    file, mean, spread = "sac.safetensors", "actor.mu", 0.25
    preset: ClassVar[Mapping[str, Any]] = {**REPLAY, "gradient_steps": 64, "ent_coef": 0.1}
    shape: ClassVar[Mapping[str, Any]] = {"net_arch": {"pi": [], "qf": [32]}}


class TD3Selector(OffPolicy):
    """TD3 over rules, drawn with a deviation of half their bound."""

    algorithm, kind = TD3, TD3Policy
    file, mean = "td3.safetensors", "actor.mu.0"
    preset: ClassVar[Mapping[str, Any]] = {
        **REPLAY,
        "gradient_steps": 16,
        "action_noise": NormalActionNoise(np.zeros(len(COLUMNS)), np.full(len(COLUMNS), 0.5)),
    }
    shape: ClassVar[Mapping[str, Any]] = {"net_arch": {"pi": [], "qf": [64, 64]}}
