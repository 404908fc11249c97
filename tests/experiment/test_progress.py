"""A training that is interrupted and goes on, on the toy: what is kept of it, and what it does not repeat."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from l2a_agents.pgpe import PGPE
from l2a_agents.selector import Log, MakeEnv

from l2a_gym.experiment import progress as module
from l2a_gym.experiment.adapter import TaskAdapter, ToyAdapter
from l2a_gym.experiment.progress import scalar_name, train_selector
from l2a_gym.experiment.run import new_selector
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.training import Snapshots

EPISODE = 1 + 10 * 2  # a dev pass, then ten steps of an update and a dev pass
PAIR = 2 * EPISODE
SPENT = [PAIR * number + (1 if number < 4 else 2) for number in range(1, 9)]
"""At the reports of a training that was stopped after three pairs: the next pair has begun with its dev pass."""


@pytest.fixture(scope="module")
def toy() -> TaskAdapter:
    return ToyAdapter()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(algo="pgpe", task="toy", budget=8 * PAIR, out=tmp_path / "run")


def stop_after(selector: Any, spent: int) -> Any:
    """The selector, interrupted by its first report of so many units."""
    train = selector.train

    def train_and_stop(make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        def stop(units: int, values: dict[str, float]) -> None:
            log(units, values)
            if units >= spent:
                raise KeyboardInterrupt

        train(make_env, budget, seed, stop, num_envs)

    selector.train = train_and_stop
    return selector


def record_of(run: Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run.folder / "record.jsonl").read_text().splitlines()]


def test_interrupted_training_goes_on_with_the_rest(run: Run, toy: TaskAdapter) -> None:
    first, stored, second = (new_selector(run, toy) for _ in range(3))
    assert isinstance(first, PGPE)
    assert isinstance(second, PGPE)
    with pytest.raises(KeyboardInterrupt):
        train_selector(run, toy, stop_after(first, 3 * PAIR))
    progress = json.loads((run.folder / "selector" / "progress.json").read_text())
    assert progress == {"spent": SPENT[2], "finished": False, "budget": 8 * PAIR}
    stored.load(run.folder / "selector")
    assert np.array_equal(stored.theta, first.theta)  # type: ignore[attr-defined]

    assert train_selector(run, toy, second) == SPENT[-1]
    record = record_of(run)
    assert [row["spent"] for row in record] == SPENT
    thetas = np.array([[value for name, value in row.items() if name.startswith("theta/")] for row in record])
    steps = np.diff(thetas, axis=0)
    assert (np.linalg.norm(steps, axis=1) < 0.08 * 6).all()  # no step back to the start
    assert not np.allclose(steps[2:4], [thetas[0], steps[0]])  # other draws than those of the first part
    assert np.array_equal(second.theta, thetas[-1])
    assert list(Snapshots(run.folder / "snapshots", second, 1).kept()) == [SPENT[1], SPENT[3]]


def test_what_a_killed_training_repeats_is_forgotten(
    run: Run, toy: TaskAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was last saved after 3 pairs and died after 5: record and snapshots go on from the third."""
    save, saved = module.Progress.save, []

    def save_in_time(progress: module.Progress, finished: bool = False) -> None:
        saved.append(progress.spent)
        if progress.spent <= SPENT[2]:
            save(progress, finished)

    with monkeypatch.context() as patch:
        patch.setattr(module, "SAVE_EVERY", -1.0)
        patch.setattr(module.Progress, "save", save_in_time)
        with pytest.raises(KeyboardInterrupt):
            train_selector(run, toy, stop_after(new_selector(run, toy), 5 * PAIR))
    assert saved[-1] == 5 * PAIR + 1
    assert [row["spent"] for row in record_of(run)] == [number * PAIR + 1 for number in range(1, 6)]
    assert list(Snapshots(run.folder / "snapshots", new_selector(run, toy), 1).kept()) == [2 * PAIR + 1, 4 * PAIR + 1]

    selector = new_selector(run, toy)
    assert train_selector(run, toy, selector) == SPENT[-1]
    assert [row["spent"] for row in record_of(run)] == SPENT
    assert list(Snapshots(run.folder / "snapshots", selector, 1).kept()) == [SPENT[1], SPENT[3]]
    theta = [value for name, value in record_of(run)[3].items() if name.startswith("theta/")]
    assert json.loads((run.folder / "snapshots" / str(SPENT[3]) / "pgpe.json").read_text())["theta"] == theta


def test_a_damaged_snapshot_is_passed_over(run: Run, toy: TaskAdapter, caplog: pytest.LogCaptureFixture) -> None:
    selector = new_selector(run, toy)
    train_selector(run, toy, selector)
    folder = run.folder / "snapshots"
    (folder / str(2 * PAIR + 1) / "pgpe.json").write_text("{}")
    assert list(Snapshots(folder, selector, run.budget).kept()) == [4 * PAIR + 1]
    assert f"{folder}/{2 * PAIR + 1} is damaged" in caplog.text


def test_interrupted_ppo_keeps_its_policy(run: Run, toy: TaskAdapter) -> None:
    pytest.importorskip("stable_baselines3")
    from l2a_agents.sb3_rules import Config

    run = replace(run, algo="ppo", budget=10**6)
    selector = stop_after(new_selector(run, toy), 1)
    with pytest.raises(KeyboardInterrupt):
        train_selector(run, toy, selector)
    spent = json.loads((run.folder / "selector" / "progress.json").read_text())["spent"]
    assert spent >= Config().rollout * EPISODE
    loaded = new_selector(run, toy)
    loaded.load(run.folder / "selector")
    start, _ = toy.env(**loaded.env_options).reset(seed=0)
    assert np.array_equal(loaded.act(start), selector.act(start))
    assert train_selector(replace(run, budget=spent), toy, new_selector(run, toy)) == spent


def test_a_larger_budget_goes_on_from_a_smaller_one(run: Run, toy: TaskAdapter) -> None:
    run = replace(run, algo="random-search", budget=1)
    spent = train_selector(run, toy, new_selector(run, toy))
    assert 0 <= spent - 4 * EPISODE <= 1  # the next episode's first pass over dev, where it has begun
    assert 0 <= train_selector(replace(run, budget=spent + 1), toy, new_selector(run, toy)) - 8 * EPISODE <= 2


@pytest.mark.parametrize("name", ["none", "uniform", "oracle", "random-half"])
def test_a_selector_that_learns_nothing_shows_no_training(
    run: Run, toy: TaskAdapter, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = replace(run, algo=name)
    assert train_selector(run, toy, new_selector(run, toy)) == 0
    assert capsys.readouterr().err == ""


def test_one_that_learns_says_how_it_ended(run: Run, toy: TaskAdapter, capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(run, budget=PAIR)
    assert train_selector(run, toy, new_selector(run, toy)) > PAIR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"training pgpe: 100% {PAIR}/{PAIR} [")
    assert "gain=" in line


def test_tensorboard_begins_with_how_episodes_went() -> None:
    """It sorts groups and names by their letters."""
    logged = "theta/length train/approx_kl reward arm/all dev_accuracy selected weight/films gain"
    assert sorted(map(scalar_name, logged.split())) == [
        "episode/dev_accuracy",
        "episode/gain",
        "episode/reward",
        "train/approx_kl",
        "train/arm/all",
        "train/selected",
        "train/theta/length",
        "train/weight/films",
    ]
