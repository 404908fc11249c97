"""The interface of every selector, and what it knows of the environment: spaces and names, no models or texts."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

Observation = dict[str, NDArray[np.float32]]
Action = NDArray[np.float32]
Log = Callable[[int, dict[str, float]], None]
"""Called as ``log(spent, values)`` with the budget spent so far and named figures."""


class MakeEnv:
    """Makes environments of one kind; a call lays options over its own, e.g. ``make_env(baseline="uniform")``.

    Args:
        name: a registered environment, ``id`` or ``module:id``.
        settings: its arguments.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        self.name, self.settings = name, settings
        self.wrappers: tuple[Wrappers, ...] = ()

    def __call__(self, **options: Any) -> gym.Env[Any, Any]:
        """One environment."""
        env: gym.Env[Any, Any] = gym.make(self.name, disable_env_checker=True, **self.settings | options)
        for wrappers in self.wrappers:
            env = wrappers.one(env)
        return env

    def vector(self, num_envs: int, **options: Any) -> VectorEnv[Any, Any, Any]:
        """Environments that step together, and wait at their episodes' ends until they are reset.

        Their own way to do so, where they have one, or one after another.
        """
        mode = AutoresetMode.DISABLED
        module, _, name = self.name.rpartition(":")
        if module:
            import_module(module)  # registers it
        if gym.spec(name).vector_entry_point is None:
            return SyncVectorEnv([partial(self, **options)] * num_envs, autoreset_mode=mode)
        envs = gym.make_vec(self.name, num_envs, autoreset_mode=mode, **self.settings | options)
        for wrappers in self.wrappers:
            envs = wrappers.many(envs)
        return envs

    def wrapped(self, wrappers: Wrappers) -> MakeEnv:
        """Makes the same environments with a wrapper around each."""
        outer = MakeEnv(self.name, **self.settings)
        outer.wrappers = (*self.wrappers, wrappers)
        return outer


class Wrappers(NamedTuple):
    """The same wrapper for one environment, and for several that are one (``vector_entry_point``)."""

    one: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]
    many: Callable[[VectorEnv[Any, Any, Any]], VectorEnv[Any, Any, Any]]


@dataclass(frozen=True)
class Spaces:
    """What a selector may know of an environment before the first observation; each is an attribute of it as well.

    Attributes:
        columns: names of the F columns of ``candidates``.
        student_columns: names of the entries of ``student``.
        domain_columns: names of the columns of ``domains``.
        operator_columns: names of the columns of ``operators``.
        domains: names of the rows of ``domains``.
        operators: names of the rows of ``operators``.
        candidates: N.
        steps: T.
    """

    columns: tuple[str, ...]
    student_columns: tuple[str, ...]
    domain_columns: tuple[str, ...]
    operator_columns: tuple[str, ...]
    domains: tuple[str, ...]
    operators: tuple[str, ...]
    candidates: int
    steps: int

    @classmethod
    def from_env(cls, env: gym.Env[Any, Any]) -> Spaces:
        """Read them off an environment."""
        return cls(**{field.name: env.get_wrapper_attr(field.name) for field in fields(cls)})

    def column(self, name: str) -> int:
        """The position of a candidates' column.

        Raises:
            ValueError: the environment does not show it.
        """
        if name not in self.columns:
            raise ValueError(
                f"this selector needs the column {name!r}; the environment shows {', '.join(self.columns)}"
            )
        return self.columns.index(name)

    def progress(self, student: NDArray[np.float32]) -> float:
        """Share of the episode's steps that were taken, t / T, from the part ``student`` of an observation."""
        return float(student[self.student_columns.index("progress")])

    def begins(self, observation: Observation) -> bool:
        """Whether the observation is the first of an episode."""
        return self.progress(observation["student"]) == 0


class Selector(Protocol):
    """Sees observations, returns actions of the mode ``weights``, or of ``trust`` where ``env_options`` ask for it.

    Attributes:
        env_options: arguments of the environment that it needs, beyond those of the run: the class's while it is
            trained, the instance's while it acts.
        config_class: dataclass of its hyper-parameters, all with defaults; None without any. An instance of it is
            the constructor's second argument, and the selector's attribute ``config``.
    """

    env_options: Mapping[str, Any]
    config_class: ClassVar[type[Any] | None]

    def __init__(self, spaces: Spaces) -> None: ...

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn until ``budget`` student updates and dev passes are spent; with nothing to learn, return at once."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights for the candidates, (N,) in [-1, 1]; a value of zero or less drops the candidate.

        In the mode ``trust``, N further values: 1 is the teacher's answer alone, -1 the label alone, 0 the usual alpha.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what was learnt into an existing folder."""

    def load(self, folder: Path) -> None:
        """Read what :meth:`save` wrote."""


class Fixed:
    """The part of a selector that has nothing to learn."""

    env_options: Mapping[str, Any] = {}
    config_class: ClassVar[type[Any] | None] = None

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Return at once."""

    def save(self, folder: Path) -> None:
        """Write nothing."""

    def load(self, folder: Path) -> None:
        """Read nothing."""


class Configured:
    """The part of a selector that has hyper-parameters.

    Args:
        spaces: of its environment.
        config: an instance of ``config_class``; None for the defaults.
    """

    env_options: Mapping[str, Any] = {}
    config_class: ClassVar[type[Any] | None]

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        assert self.config_class
        self.spaces = spaces
        self.config = self.config_class() if config is None else config


@dataclass(frozen=True)
class Hyperparameters:
    """Base of a selector's hyper-parameters: finite numbers from 0, whole numbers from 1, or texts, as the default is.

    Raises:
        ValueError: another value.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value, whole = getattr(self, field.name), isinstance(field.default, int)
            if isinstance(field.default, str):
                if not isinstance(value, str):
                    raise ValueError(f"{field.name} = {value!r}: valid are texts")
                continue
            number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not (number and whole <= value < np.inf):
                valid = "whole numbers from 1" if whole else "finite numbers from 0"
                raise ValueError(f"{field.name} = {value!r}: valid are {valid}")


def spent(info: dict[str, Any]) -> Any:
    """Student updates and dev passes of an episode so far, or (E,) of several: the unit of every budget."""
    return info["updates"] + info["dev_passes"]


def unknown(kind: str, given: str, valid: Iterable[str]) -> str:
    """The message about a name that is none of the valid ones."""
    near = difflib.get_close_matches(given, valid, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(valid) or 'none'}"
