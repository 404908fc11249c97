"""Every selector by its name, and what the package l2a_agents depends on."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import l2a_agents
import numpy as np
import pytest
from l2a_agents.registry import SELECTORS, make_selector, selector_class
from l2a_agents.rollout import rollout
from l2a_agents.selector import MakeEnv, Spaces, spent

from l2a_gym.envs.toy import ToyEnv

EPISODE = 1 + 10 * 2


def toy_of(name: str) -> MakeEnv:
    """Makes toys that show what the selector asks for."""
    return MakeEnv("l2a_gym:L2A-Toy-v0", **selector_class(name).env_options)


@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_can_play_the_toy(name: str, can_be_had: Callable[[str], None]) -> None:
    can_be_had(name)
    env = toy_of(name)().unwrapped
    assert isinstance(env, ToyEnv)
    steps = list(rollout(env, make_selector(name, Spaces.from_env(env)).act, seed=0))
    total = sum(step.reward for step in steps)
    assert spent(steps[-1].info) == EPISODE
    assert total <= env.optimal_return(0)
    if name == "uniform":
        env.reset(seed=0)
        assert total == sum(env.step(np.ones(32, dtype=np.float32))[1] for _ in range(env.steps))
    if name == "oracle":
        assert total == env.optimal_return(0)
    if name == "none":
        assert total == 0


def test_the_oracle_asks_for_its_column() -> None:
    kind = selector_class("oracle")
    assert kind.env_options == {"features": ["clean"]}
    clean = np.array([[1], [0]], dtype=np.float32)
    assert kind(replace(Spaces.from_env(ToyEnv()), columns=("clean",))).act({"candidates": clean}).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "near"), [("reinforc", "reinforce"), ("random_half", "random-half"), ("orcale", "oracle")]
)
def test_an_unknown_name_names_the_nearest(given: str, near: str) -> None:
    with pytest.raises(
        ValueError, match=f"unknown selector '{given}': did you mean '{near}'.* valid are none, uniform"
    ):
        selector_class(given)


def test_a_name_that_is_near_to_none_gets_no_guess() -> None:
    with pytest.raises(ValueError, match=r"^unknown selector '0\.0': valid are none, uniform"):
        selector_class("0.0")


def test_a_selector_of_ones_own_is_a_module_and_a_class(
    spaces: Spaces, observation: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_module.py").write_text(
        "import numpy as np\n"
        "from l2a_agents.selector import Fixed\n"
        "class MySelector(Fixed):\n"
        "    def act(self, observation, deterministic=True):\n"
        "        return observation['candidates'][:, self.spaces.column('all_data_label')]\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    action = selector_class("my_module:MySelector")(spaces).act(observation)
    assert np.array_equal(action, observation["candidates"][:, spaces.column("all_data_label")])
    with pytest.raises(AttributeError, match="YourSelector"):
        selector_class("my_module:YourSelector")
    with pytest.raises(ModuleNotFoundError, match="your_module"):
        selector_class("your_module:MySelector")


@pytest.mark.parametrize("name", SELECTORS)
def test_hyperparameters_are_laid_over_the_defaults(name: str, can_be_had: Callable[[str], None]) -> None:
    can_be_had(name)
    spaces = Spaces.from_env(toy_of(name)())
    defaults: Any = selector_class(name).config_class
    if defaults is None:
        with pytest.raises(ValueError, match=f"unknown hyper-parameter of {name} 'sigma': valid are none"):
            make_selector(name, spaces, sigma=1.0)
        return
    for field in fields(defaults):
        value: Any = {"domain": "near", "groups": "label", "prior": "uniform"}.get(field.name, 2)
        for control in ("", "@frozen", "@shuffled"):
            selector: Any = make_selector(name + control, spaces, **{field.name: value})
            assert selector.config == replace(defaults(), **{field.name: value})
    assert make_selector(name, spaces).config == defaults()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"sigm": 1.0},
            "unknown hyper-parameter of pgpe 'sigm': did you mean 'sigma'? valid are groups, prior, sigma, ",
        ),
        ({"sigma": -1.0}, "sigma = -1.0: valid are finite numbers from 0"),
        ({"sigma": float("nan")}, "sigma = nan: valid are finite numbers from 0"),
        ({"sigma": "1"}, "sigma = '1': valid are finite numbers from 0"),
        ({"window": 0}, "window = 0: valid are whole numbers from 1"),
        ({"window": 2.5}, "window = 2.5: valid are whole numbers from 1"),
        ({"groups": 1}, "groups = 1: valid are texts"),
        (
            {"prior": "cross-fited-weight"},
            "unknown prior 'cross-fited-weight': did you mean 'cross-fitted-weight'? valid are uniform, few",
        ),
        ({}, "this selector needs the column 'label_share'; the environment shows domain=target, "),
        ({"groups": "label domian"}, "groups = 'label domian': valid are names of domain, operator, label"),
    ],
)
def test_a_hyperparameter_that_is_not_valid_is_named(spaces: Spaces, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_selector("pgpe", spaces, **values)


def imported(code: str) -> set[str]:
    """The top-level packages in ``sys.modules`` after ``code`` ran in a fresh interpreter."""
    report = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_no_agent_imports_the_environment() -> None:
    for package in ("stable_baselines3", "sb3_contrib", "cma", "optuna"):
        pytest.importorskip(package, reason=f"a module needs {package}")
    modules = [module.name for module in pkgutil.iter_modules(l2a_agents.__path__)]
    assert {"pgpe", "sb3_presets", "rule", "registry"} <= set(modules)
    found = imported("\n".join(f"import l2a_agents.{name}" for name in modules))
    assert "l2a_agents" in found
    assert "stable_baselines3" in found
    assert not {"l2a_gym", "transformers", "datasets"} & found


def test_the_registry_imports_no_selectors_packages() -> None:
    found = imported("from l2a_agents.registry import selector_class\nselector_class('pgpe')")
    assert not {"stable_baselines3", "sb3_contrib", "optuna", "cma", "torch", "l2a_gym"} & found
