"""A run's settings, its folder, and how it is found again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from l2a_agents.fixed import Uniform
from l2a_agents.heuristic import Oracle
from l2a_agents.selector import Action, Fixed, Log, MakeEnv, Observation, Spaces

from l2a_gym.errors import UserError
from l2a_gym.experiment.evaluate import final_student
from l2a_gym.experiment.progress import Progress, train_selector
from l2a_gym.experiment.run import Run, check_same_run, load_run, load_selector, new_selector, versions


@pytest.fixture
def run(small: dict[str, Any], tmp_path: Path) -> Run:
    return Run(algo="uniform", **small, budget=30, out=tmp_path / "run")


def written(run: Run) -> Path:
    run.folder.mkdir(parents=True)
    (run.folder / "config.json").write_text(json.dumps(run.as_dict()), encoding="utf-8")
    return run.folder


@pytest.mark.parametrize("name", ["budget", "num_envs", "student_seeds", "export_steps"])
@pytest.mark.parametrize("value", [0, -5])
def test_counts_start_from_one(name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"^{name} = {value}: valid are whole numbers from 1$"):
        Run(**{name: value})


@pytest.mark.parametrize("name", ["seed", "general_updates"])
def test_seeds_and_general_updates_start_from_zero(name: str) -> None:
    assert getattr(Run(**{name: 0}), name) == 0
    with pytest.raises(UserError, match=f"^{name} = -1: valid are whole numbers from 0"):
        Run(**{name: -1})


def test_seeds_are_those_that_every_generator_takes() -> None:
    assert Run(seed=2**63 - 1).seed == 2**63 - 1
    with pytest.raises(UserError, match=rf"^seed = {10**23}: valid are whole numbers from 0, below 2\^63$"):
        Run(seed=10**23)


def test_general_updates_reach_the_preparation(run: Run) -> None:
    prepared = replace(run, general_updates=3).environment().world.prepared
    assert prepared.manifest()["config"]["general"]["updates"] == 3
    assert run.environment().world.prepared.manifest()["config"]["general"]["updates"] == 800


def test_the_folders_name_says_what_ran(tmp_path: Path) -> None:
    assert Run(algo="reinforce", task="hutto/nyt-64", seed=3).folder == Path("runs/hutto-nyt-64-reinforce-s3")
    assert Run(algo="mine:Best", task="/data/paraphrase.toml").folder == Path("runs/paraphrase-mine-Best-s0")
    assert Run(out=tmp_path).folder == tmp_path


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
    check_same_run(replace(run, budget=10**6, student_seeds=9, num_envs=4))


def test_the_environment_has_the_runs_settings(run: Run) -> None:
    envs = (run.environment(), run.make_env()().unwrapped, run.make_env().vector(2).unwrapped)
    for env in envs:
        assert (env.candidates, env.steps) == (24, 4)
        assert "clean" not in env.columns
    env = run.environment(steps=7, features=["clean"])
    assert (env.steps, env.columns) == (7, ("clean",))


class Asking(Fixed):
    """A selector with options of its own, which keeps the columns that it was trained on."""

    env_options: ClassVar[dict[str, Any]] = {"features": ["kl", "clean"], "steps": 2, "dev_every": 2}

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        self.trained_on = [make_env().get_wrapper_attr("columns"), make_env.vector(2).unwrapped.columns]

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        return np.ones(self.spaces.candidates, dtype=np.float32)


def test_a_selectors_own_options_hold_in_training_and_give_way_in_the_final_students(run: Run) -> None:
    run = replace(run, export_steps=3)
    selector = Asking(Spaces.of(run.environment(**Asking.env_options)))
    train_selector(run, selector)
    assert selector.spaces.columns == ("kl", "clean")
    assert selector.trained_on == [("kl", "clean"), ("kl", "clean")]
    env, _ = final_student(run, selector)
    assert (env.steps, env.columns) == (3, ("kl", "clean"))


def test_selectors_get_the_columns_they_ask_for(run: Run) -> None:
    assert isinstance(new_selector(run), Uniform)
    oracle = new_selector(run, "oracle")
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
def test_a_selector_that_is_not_there_is_named(run: Run, algo: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        new_selector(replace(run, algo=algo))


def test_a_trained_selector_is_loaded(run: Run) -> None:
    run = replace(run, algo="reinforce")
    selector = new_selector(run)
    selector.theta = np.array([0.1, 0.2, 0.3, -0.4, 0.5, -0.6])  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=rf"^{run.folder} holds no trained selector: train it with"):
        load_selector(run)
    progress = Progress(run, selector)
    progress.spent = 12
    progress.save()
    with pytest.raises(UserError, match=rf"^the training in {run.folder} stopped after 12 of 30 units: finish it"):
        load_selector(run)
    progress.save(finished=True)
    assert load_selector(run).theta.tolist() == [0.1, 0.2, 0.3, -0.4, 0.5, -0.6]  # type: ignore[attr-defined]
    (run.folder / "selector" / "reinforce.json").write_text("{}")
    with pytest.raises(
        UserError, match=rf"^{run.folder}/selector is damaged \(reinforce.json\): the command that began"
    ):
        load_selector(run)


def test_a_selector_of_another_run_is_not_taken_for_this_ones(run: Run) -> None:
    Progress(run, new_selector(run)).save(finished=True)
    load_selector(run)
    with pytest.raises(UserError, match=r"selector is damaged \(.l2a-gym\)"):
        load_selector(replace(run, seed=1))


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


def test_versions_name_what_a_result_depends_on() -> None:
    import torch

    found = versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"l2a-gym", "transformers", "gymnasium", "numpy"} <= set(found)
