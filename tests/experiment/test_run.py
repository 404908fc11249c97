"""A run's folder: what may be written, and how its selector is found again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from l2a_agents.cleaning import Oracle
from l2a_agents.fixed import Uniform
from l2a_agents.pgpe import PGPE

from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.progress import Progress
from l2a_gym.experiment.run import check_same_run, load_run, load_selector, new_selector
from l2a_gym.experiment.selectors import load_class
from l2a_gym.experiment.settings import Run


@pytest.fixture
def run(small: dict[str, Any], tmp_path: Path) -> Run:
    return Run(algo="uniform", **small, budget=30, out=tmp_path / "run")


def written(run: Run) -> Path:
    run.folder.mkdir(parents=True)
    (run.folder / "config.json").write_text(json.dumps(run.as_dict()), encoding="utf-8")
    return run.folder


def test_a_written_run_is_read_again(run: Run) -> None:
    assert load_run(written(run)) == run


def test_a_moved_run_folder_is_where_it_lies(run: Run, tmp_path: Path) -> None:
    moved = written(run).rename(tmp_path / "elsewhere")
    assert load_run(moved) == replace(run, out=moved)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"algoo": "ppo"}', '{"budget": -1}'])
def test_what_is_not_a_run_folder_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"^{tmp_path} is not a run folder: its config.json can't be read"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("algo", "none"), ("seed", 1), ("teacher", "all-data"), ("metric", "f1"), ("general_updates", 0)],
)
def test_a_folder_of_another_run_is_refused(run: Run, name: str, value: object) -> None:
    folder = written(run)
    with pytest.raises(UserError, match=f"^{folder} holds a run with {name} = .*: give another folder with --out$"):
        check_same_run(replace(run, **{name: value}))


def test_more_budget_is_the_same_run(run: Run) -> None:
    check_same_run(run)
    written(run)
    check_same_run(replace(run, budget=10**6, students=9, num_envs=4))


def test_selectors_get_the_columns_they_ask_for(run: Run, adapter: DistillAdapter) -> None:
    assert isinstance(new_selector(run, adapter), Uniform)
    oracle = new_selector(replace(run, algo="oracle"), adapter)
    assert isinstance(oracle, Oracle)
    assert oracle.spaces.columns == ("clean",)
    assert (oracle.spaces.candidates, oracle.spaces.steps) == (24, 4)


@pytest.mark.parametrize(
    ("algo", "message"),
    [
        ("unifrom", "unknown selector 'unifrom': did you mean 'uniform'"),
        ("no_such_module:X", "no_such_module"),
        ("l2a_agents.fixed:Unifrom", "Unifrom"),
    ],
)
def test_a_selector_that_is_not_there_is_named(algo: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_class(algo)


def test_what_a_selectors_own_constructor_raises_is_shown_as_it_is(
    run: Run, adapter: DistillAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class Picky:\n    env_options = {}\n    def __init__(self, spaces):\n        spaces.length()\n"
    (tmp_path / "picky.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AttributeError, match="has no attribute 'length'"):
        new_selector(replace(run, algo="picky:Picky"), adapter)


def test_a_run_may_set_its_selectors_hyper_parameters(run: Run, adapter: DistillAdapter) -> None:
    selector = new_selector(replace(run, algo="pgpe", selector={"sigma": 0.25}), adapter)
    assert isinstance(selector, PGPE)
    assert (selector.config.sigma, selector.config.window) == (0.25, 20)
    with pytest.raises(UserError, match=r"^unknown hyper-parameter of pgpe 'sigm': did you mean 'sigma'"):
        new_selector(replace(run, algo="pgpe", selector={"sigm": 0.25}), adapter)
    with pytest.raises(UserError, match=r"^unknown prior 'unifrom': did you mean 'uniform'"):
        new_selector(replace(run, algo="pgpe", selector={"prior": "unifrom"}), adapter)


def test_a_trained_selector_is_loaded(run: Run, adapter: DistillAdapter) -> None:
    run = replace(run, algo="pgpe")
    selector = new_selector(run, adapter)
    selector.theta = np.array([0.1, 0.2, 0.3, -0.4, 0.5, -0.6])  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=rf"^{run.folder} holds no trained selector: train it with"):
        load_selector(run, adapter)
    progress = Progress(run, selector)
    progress.spent = 12
    progress.save()
    with pytest.raises(UserError, match=rf"^the training in {run.folder} stopped after 12 of 30 units: finish it"):
        load_selector(run, adapter)
    progress.save(finished=True)
    assert load_selector(run, adapter).theta.tolist() == [0.1, 0.2, 0.3, -0.4, 0.5, -0.6]  # type: ignore[attr-defined]
    (run.folder / "selector" / "pgpe.json").write_text("{}")
    with pytest.raises(UserError, match=rf"^{run.folder}/selector is damaged \(pgpe.json\): the command that began"):
        load_selector(run, adapter)


def test_a_selector_of_another_run_is_not_taken_for_this_ones(run: Run, adapter: DistillAdapter) -> None:
    Progress(run, new_selector(run, adapter)).save(finished=True)
    load_selector(run, adapter)
    with pytest.raises(UserError, match=r"selector is damaged \(.l2a-gym\)"):
        load_selector(replace(run, seed=1), adapter)


@pytest.mark.parametrize("name", ["selector/mine.py", "student/model.safetensors", "summary.json", "round-1/notes.txt"])
def test_files_of_the_users_are_never_in_the_way(run: Run, name: str) -> None:
    file = run.folder / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    first = name.split("/")[0]
    with pytest.raises(UserError, match=f"^{run.folder} holds {first}, and no config.json of a run: give another"):
        check_same_run(run)
    (run.folder / "config.json").write_text(json.dumps(run.as_dict()), encoding="utf-8")
    if first in ("selector", "student"):
        with pytest.raises(UserError, match=f"^{run.folder}/{first} would be replaced, and holds what L2A-Gym did not"):
            check_same_run(run)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("raise RuntimeError('no luck')", RuntimeError, "no luck"),
        ("import sys\nsys.exit(3)", UserError, "selector 'failing:Mine': its module ends the process"),
        ("def f(:", SyntaxError, ""),
    ],
)
def test_what_a_selectors_module_raises_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[Exception], reason: str
) -> None:
    (tmp_path / "failing.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind, match=reason):
        load_class("failing:Mine")
