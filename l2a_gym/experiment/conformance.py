"""What every selector has to keep to, as tests: subclass, name the selector, and let pytest collect the subclass.

Example:
    >>> class TestMySelector(SelectorConformance):
    ...     selector = "my_module:MySelector"
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from l2a_agents.selector import MakeEnv, Selector, Spaces

from l2a_gym.experiment.job import options_of
from l2a_gym.experiment.meter import Meter
from l2a_gym.experiment.selectors import load_class

EPISODE = 1 + 10 * 2
"""Units of an episode of the toy: a dev pass, then ten steps of an update and a dev pass."""


class SelectorConformance:
    """Trains and plays a selector on ``L2A-Toy-v0``.

    Attributes:
        selector: a registered name, or my_module:MySelector.
        budget: units that it is trained for.
        slack: units by which it may pass its budget, to finish what it compares.
    """

    selector: str
    budget = 30 * EPISODE
    slack = 10 * EPISODE

    def make(self) -> Selector:
        """An untrained one."""
        return self.kind(Spaces.from_env(self.make_env()()))

    @property
    def kind(self) -> type[Selector]:
        """Its class."""
        return load_class(self.selector)

    def make_env(self) -> MakeEnv:
        """Makes toys that show what the selector asks for."""
        return MakeEnv("l2a_gym:L2A-Toy-v0", **self.kind.env_options)

    def trained(self) -> Training:
        """One that was trained with seed 0. It is shared by a class's tests: for acting and saving only."""
        key = (type(self), self.selector)
        if key not in _TRAINED:
            _TRAINED[key] = self.train(self.make(), 0)
        return _TRAINED[key]

    def train(self, selector: Selector, seed: int) -> Training:
        """Train it, metered as in the benchmark."""
        meter, before, logged = Meter(), _global_states(), []
        selector.train(
            meter.around(self.make_env()), self.budget, seed, lambda spent, values: logged.append((spent, values))
        )
        return Training(selector, meter.spent, logged, _global_states() == before)

    def episode(self, selector: Selector, deterministic: bool = True) -> list[Any]:
        """Its actions in an episode."""
        env = self.make_env()()
        (observation, _), actions, over = env.reset(seed=1), [], False
        while not over:
            actions.append(selector.act(observation, deterministic=deterministic))
            observation, _, over, _, _ = env.step(actions[-1])
        return actions

    def test_it_asks_for_what_it_may(self) -> None:
        """Features, action, and of a fixed rule distillation; all else of the environment is the benchmark's."""
        assert set(self.kind.env_options) <= {*options_of(self.kind)}

    def test_actions_are_weights(self) -> None:
        """(N,) float32, or (2N,) with trust, finite, in [-1, 1]; before and after training."""
        shape = self.make_env()().action_space.shape
        for selector in (self.make(), self.trained().selector):
            for deterministic in (True, False):
                for action in self.episode(selector, deterministic):
                    assert isinstance(action, np.ndarray)
                    assert (action.shape, action.dtype) == (shape, np.float32)
                    assert np.isfinite(action).all()
                    assert np.abs(action).max() <= 1

    def test_deterministic_actions_repeat(self) -> None:
        """The same episode has the same actions, also by way of another."""
        selector = self.trained().selector
        first = self.episode(selector)
        self.episode(selector, deterministic=False)
        assert np.array_equal(self.episode(selector), first)

    def test_a_seed_repeats_a_training(self) -> None:
        """Two trainings of one seed act alike, wherever the global generator is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            again = self.train(self.make(), 0).selector
        assert np.array_equal(self.episode(again), self.episode(self.trained().selector))

    def test_what_was_learnt_can_be_saved(self, tmp_path: Path) -> None:
        """A selector that was loaded acts like the one that was saved."""
        selector = self.trained().selector
        assert np.array_equal(self.episode(self._loaded(tmp_path)), self.episode(selector))
        assert not [file for file in tmp_path.rglob("*") if file.suffix in (".pkl", ".pickle", ".pt", ".zip")]

    def test_the_budget_is_kept_and_told(self) -> None:
        """Training spends about its budget, by the benchmark's own count, and logs what it spends."""
        training = self.trained()
        told = [0, *(spent for spent, _ in training.logged)]
        assert told == sorted(told)
        assert all(np.isfinite(value) for _, values in training.logged for value in values.values())
        assert 0 <= training.spent - told[-1] <= 1  # an episode that is begun and never played has looked at dev once
        assert training.spent == 0 or self.budget - 2 * EPISODE <= training.spent <= self.budget + self.slack

    def test_global_generators_stay_as_they_are(self, tmp_path: Path) -> None:
        """Training, training again and deterministic actions draw from no global random generator."""
        assert self.trained().untouched
        selector = self._loaded(tmp_path)
        assert self.train(selector, 1).untouched
        before = _global_states()
        self.episode(selector)
        assert _global_states() == before

    def _loaded(self, folder: Path) -> Selector:
        selector = self.make()
        self.trained().selector.save(folder)
        selector.load(folder)
        return selector


class Training(NamedTuple):
    """A training's outcome.

    Attributes:
        selector: what was trained.
        spent: units, by the benchmark's count.
        logged: what the selector said it had spent, and its figures, in the order of its reports.
        untouched: whether the global random generators are where they were.
    """

    selector: Selector
    spent: int
    logged: list[tuple[int, dict[str, float]]]
    untouched: bool


_TRAINED: dict[tuple[type[SelectorConformance], str], Training] = {}


def _global_states() -> tuple[object, ...]:
    numpy_state = repr(np.random.get_state(legacy=False))  # noqa: NPY002 - what must not be touched
    return numpy_state, random.getstate(), torch.random.get_rng_state().numpy().tobytes()
