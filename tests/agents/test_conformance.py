"""Every registered selector keeps to what is asked of users' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from l2a_agents.registry import SELECTORS
from l2a_agents.selector import Fixed

from l2a_gym.experiment.conformance import EPISODE, SelectorConformance


@pytest.mark.parametrize("name", SELECTORS, scope="class")  # one after the other, as each is trained once
class TestEverySelector(SelectorConformance):
    budget = 20 * EPISODE

    @pytest.fixture(autouse=True)
    def _named(self, name: str, can_be_had: Callable[[str], None]) -> None:
        can_be_had(name)
        self.selector = name


class Careless(Fixed):
    """Breaks every rule."""

    env_options: ClassVar[Mapping[str, Any]] = {"steps": 10}
    number = 0.5

    def act(self, observation: Any, deterministic: bool = True) -> Any:
        Careless.number += 0.1
        return np.full(len(observation["candidates"]), self.number)

    def train(self, make_env: Any, budget: int, seed: int, log: Any, num_envs: int = 1) -> None:
        env = make_env()
        env.reset(seed=seed)
        env.step(env.action_space.sample())
        np.random.random()  # noqa: NPY002 - what a selector must not do
        log(budget, {"gain": 0.0})


RULES = [name for name in dir(SelectorConformance) if name.startswith("test_")]


@pytest.mark.parametrize("rule", RULES)
def test_a_careless_selector_is_caught(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2a_gym.experiment.conformance.load_class", lambda _: Careless)

    class Check(SelectorConformance):
        selector = "careless"

    test = getattr(Check(), rule)
    with pytest.raises(AssertionError):
        test(tmp_path) if "tmp_path" in signature(test).parameters else test()
