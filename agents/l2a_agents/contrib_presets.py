"""TRPO and TQC of SB3-Contrib on the shared rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sb3_contrib import TQC, TRPO
from sb3_contrib.tqc.policies import TQCPolicy

from l2a_agents.sb3_presets import SACSelector
from l2a_agents.sb3_rules import OffPolicy, OnPolicy


class TRPOSelector(OnPolicy):
    """TRPO over rules."""

    algorithm = TRPO
    file = "trpo.safetensors"
    preset: ClassVar[Mapping[str, Any]] = {
        "batch_size": 8,
        "learning_rate": 0.001,
        "target_kl": 0.05,
        "gamma": 1.0,
        "gae_lambda": 1.0,
    }


class TQCSelector(OffPolicy):
    """TQC over rules: as SAC, with a distribution of values whose largest are left out."""

    algorithm, kind = TQC, TQCPolicy
    file, mean, spread = "tqc.safetensors", SACSelector.mean, SACSelector.spread
    preset, shape = SACSelector.preset, SACSelector.shape
