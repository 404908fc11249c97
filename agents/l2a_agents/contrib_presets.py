"""TRPO and TQC of SB3-Contrib on the shared rule."""

from __future__ import annotations

from dataclasses import dataclass

from sb3_contrib import TQC, TRPO
from sb3_contrib.tqc.policies import TQCPolicy

from l2a_agents.sb3_presets import SACSelector
from l2a_agents.sb3_rules import Config, OnPolicy


@dataclass(frozen=True)
class TRPOConfig(Config):
    """Hyper-parameters of TRPO."""

    batch_size: int = 8  # episodes in a step of the values' gradient
    target_kl: float = 0.05  # how far the policy may move in an update, in nats


class TRPOSelector(OnPolicy):
    """TRPO over rules."""

    config_class = TRPOConfig
    algorithm, file = TRPO, "trpo.safetensors"


class TQCSelector(SACSelector):
    """TQC over rules: as SAC, with a distribution of values whose largest are left out."""

    algorithm, kind, file = TQC, TQCPolicy, "tqc.safetensors"
