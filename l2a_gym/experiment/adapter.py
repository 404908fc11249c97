"""Where selectors are compared: the environment of a task, and what a student is worth at an episode's end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from l2a_agents.selector import MakeEnv

from l2a_gym.distill.device import resolve_device
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.experiment.evaluate import score_student, score_teacher
from l2a_gym.experiment.run import ENVIRONMENT

TOY = "toy"
"""The task of ``L2A-Toy-v0``, which needs no preparation."""

Env = gym.Env[Any, Any]


class Arena(Protocol):
    """What a benchmark needs of a task."""

    @property
    def device(self) -> torch.device:
        """Where its students learn."""
        ...

    def make_env(self, **options: Any) -> MakeEnv:
        """Makes the task's environments; ``options`` are laid over its own."""
        ...

    def score(self, env: Env, info: Mapping[str, Any]) -> float:
        """What the environment's student is worth at the end of an episode; no reward and no choice depends on it."""
        ...

    def top(self, env: Env, seeds: Sequence[int]) -> float:
        """The score that counts as 1 where students have these seeds."""
        ...

    def fingerprint(self, env: Env) -> str:
        """A hash of the prepared files' content, which are made where they are missing; empty where there are none."""
        ...


class DistillArena:
    """A task of ``L2A-Distill-v0``: students are scored by their accuracy on the target's test split.

    Args:
        task: a task id or the path of a task file; behind an ``@`` the make-up of its pool, ``lexical`` by default.
        settings: further arguments of the environment.

    Raises:
        UserError: a value that is not valid.
    """

    def __init__(self, task: str, settings: Mapping[str, Any]) -> None:
        name, at, pool = task.rpartition("@")
        if not at or "/" in pool:  # a folder's name may have an @ in it
            name, pool = task, "lexical"
        self.settings = {**settings, "task": name, "pool": pool}
        self.make_env()()  # cheap: it reads no text, and finds what is wrong
        self.device = resolve_device(settings.get("device", "auto"))

    def make_env(self, **options: Any) -> MakeEnv:
        """Makes the task's environments; ``options`` are laid over its own."""
        return MakeEnv(ENVIRONMENT, **self.settings | options)

    def score(self, env: Env, info: Mapping[str, Any]) -> float:
        """Test accuracy of the student."""
        return score_student(_distill(env), "test").accuracy

    def top(self, env: Env, seeds: Sequence[int]) -> float:
        """Test accuracy of the all-data teacher, whatever the seeds."""
        return score_teacher(_distill(env).world.prepared, "all-data", "test").accuracy

    def fingerprint(self, env: Env) -> str:
        """Hash of the prepared files' hashes."""
        files: Mapping[str, str] = _distill(env).world.prepared.manifest()["files"]
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


class ToyArena:
    """``L2A-Toy-v0``: made-up students are scored by their accuracy, (1 + skill) / 2; the best return counts as 1."""

    device = torch.device("cpu")

    def make_env(self, **options: Any) -> MakeEnv:
        """Makes toys with noisy rewards."""
        return MakeEnv("l2a_gym:L2A-Toy-v0", noise=0.01, **options)

    def score(self, env: Env, info: Mapping[str, Any]) -> float:
        """Accuracy of the made-up student."""
        return float(info["dev_accuracy"])

    def top(self, env: Env, seeds: Sequence[int]) -> float:
        """Accuracy under the best actions, without noise."""
        toy = env.unwrapped
        assert isinstance(toy, ToyEnv)
        return float(np.mean([(1 + toy.optimal_return(seed)) / 2 for seed in seeds]))

    def fingerprint(self, env: Env) -> str:
        """Nothing is prepared."""
        return ""


def arena_of(task: str, settings: Mapping[str, Any]) -> Arena:
    """The arena of a task; the toy has no use for the settings.

    Raises:
        UserError: a value that is not valid.
    """
    return ToyArena() if task == TOY else DistillArena(task, settings)


def _distill(env: Env) -> DistillAugEnv:
    inner = env.unwrapped
    assert isinstance(inner, DistillAugEnv)
    return inner
