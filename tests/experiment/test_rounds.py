"""The joint loop: what a round hands to the next, and that it may be killed after any stage."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from l2a_agents.selector import Action, Fixed, Observation, Spaces
from safetensors.numpy import load_file

from l2a_gym.augment.config import PoolConfig
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.rounds import FLOOR, mean_weight, renew_pool, rounds_of
from l2a_gym.experiment.rows import Row, read_rows
from l2a_gym.experiment.run import load_run
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.train import evaluate_run, train

EPISODE = 1 + (1 + 1)
POOL = {
    "copies": {"swap": 4, "mlm-target": 4, "mlm-source": 0.2},
    "labels": "teacher",
    "masked_lm": {"updates": 20, "adapt_updates": 5, "batch": 16},
}


@pytest.fixture(scope="module")
def run(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two rounds on a task with texts without labels."""
    task = {**tiny, "task": str(Path(tiny["task"]).with_name("unlabelled.toml"))}
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "pool.json").write_text(json.dumps(POOL))
    settings = {"budget": 8 * EPISODE, "num_envs": 1, "students": 2, "export_steps": 6, "rounds": 2}
    pool = str(folder / "pool.json")
    return Run(algo="pgpe", **task, **settings, pool=pool, out=folder / "whole")


@pytest.fixture(scope="module")
def summary(run: Run) -> dict[str, Any]:
    return train(run)


def test_rounds_share_the_budget_and_hand_on_the_pool(run: Run) -> None:
    first, second, third = rounds_of(replace(run, rounds=3, budget=100))
    assert [part.budget for part in (first, second, third)] == [33, 33, 34]
    assert [part.folder for part in (first, second, third)] == [
        run.folder / "round-1",
        run.folder / "round-2",
        run.folder,
    ]
    assert first.pool == run.pool
    pools = [run.folder / f"round-{number}" / "pool" / "pool.json" for number in (1, 2)]
    assert [second.pool, third.pool] == list(map(str, pools))
    assert rounds_of(replace(run, rounds=1)) == [replace(run, rounds=1)]


def test_mean_weights() -> None:
    group, weight, shown = np.array([0, 0, 1, 2]), np.array([1.0, 2.0, 0.0, 0.0]), np.array([2.0, 2.0, 1.0, 0.0])
    mean = 3 / 5
    assert mean_weight(group, weight, shown, 4) == pytest.approx([3 / 4, FLOOR * mean, mean, mean])
    assert mean_weight(group, 0 * weight, shown, 4).tolist() == [1] * 4


def test_the_second_rounds_pool_is_what_the_first_rounds_selector_prefers(run: Run, summary: dict[str, Any]) -> None:
    last = rounds_of(run)[-1]
    pool = PoolConfig.from_setting(last.pool)
    preferred = pool.preferred()
    assert preferred is not None
    prepared = DistillAdapter(last.task, last.environment).prepared
    operator = np.array(prepared.manifest()["operators"])[np.array(prepared.pool()["operator"])]
    assert (operator == "unlabelled").sum() == 60
    assert len(preferred) == (operator == "source").sum() + 16
    assert (preferred > 0).all()
    assert preferred.std() > 0
    assert list(pool.copies) == list(POOL["copies"])  # type: ignore[call-overload]
    assert pool.copies != POOL["copies"]
    assert sum(pool.copies.values()) == pytest.approx(8.2, abs=0.01)
    assert (pool.labels, pool.masked_lm) == (
        PoolConfig.from_setting(POOL).labels,
        PoolConfig.from_setting(POOL).masked_lm,
    )
    first = json.loads((run.folder / "round-1" / "selector" / "progress.json").read_text())
    assert first == {"spent": 4 * EPISODE + 1, "finished": True, "budget": 4 * EPISODE}
    assert summary["spent"] == read_rows(run.folder / "rows.jsonl")[-1].spent == 2 * first["spent"]


def test_a_selector_that_weights_all_alike_changes_nothing(run: Run, tmp_path: Path) -> None:
    part = replace(rounds_of(run)[0], algo="uniform", out=tmp_path)
    adapter = DistillAdapter(part.task, part.environment)
    renew_pool(part, adapter, adapter.selector("uniform"), tmp_path)
    pool = PoolConfig.from_setting(str(tmp_path / "pool.json"))
    assert dict(pool.copies) == pytest.approx(POOL["copies"])
    preferred = pool.preferred()
    assert preferred is not None
    assert preferred == pytest.approx(np.ones(len(preferred)))


class Unlabelled(Fixed):
    """Gives all weight to texts without labels."""

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        return observation["candidates"][:, self.spaces.column("operator=unlabelled")]


def test_weight_of_texts_without_labels_renews_nothing(run: Run, tmp_path: Path) -> None:
    """They are no texts to start from, so that nothing that is made is preferred."""
    part = replace(run, algo="uniform", pool="lexical", out=tmp_path)
    adapter = DistillAdapter(part.task, part.environment)
    renew_pool(part, adapter, Unlabelled(Spaces.from_env(adapter.env())), tmp_path)
    pool = PoolConfig.from_setting(str(tmp_path / "pool.json"))
    assert pool.copies == PoolConfig().copies
    preferred = pool.preferred()
    assert preferred is not None
    assert preferred.tolist() == [1] * (adapter.prepared.pool()["operator"].count(0) + 16)


def test_the_evaluation_is_on_the_last_pool(run: Run, summary: dict[str, Any]) -> None:
    assert load_run(run.folder).pool == run.pool
    again = evaluate_run(run.folder, 1)
    assert again["parameters"] == summary["parameters"]
    assert again["teachers"] == summary["teachers"]


STAGES = ["round-1/selector", "round-1/pool", "selector", "comparison.json", "exported.json"]
"""What the stages leave in the run folder, in their order."""


def test_killed_after_each_stage_it_ends_with_the_same_student(
    run: Run, summary: dict[str, Any], forks: BaseContext
) -> None:
    """One run is killed as soon as a stage's file appears, started again, and so on to the last stage."""
    killed = replace(run, out=run.folder.parent / "killed")
    for file in STAGES:
        start_and_kill(forks, killed, killed.folder / file)
    again = train(killed)
    found, expected = ({**each["exported"], "texts_per_second": 0} for each in (again, summary))
    assert found == expected
    assert timeless(killed) == timeless(run)
    student, whole = (load_file(each.folder / "student" / "model.safetensors") for each in (killed, run))
    assert student.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(student[name], array)


def timeless(run: Run) -> list[Row]:
    """Its rows without what depends on the clock or on where the run lies."""
    rows = read_rows(run.folder / "rows.jsonl")
    return [replace(row, seconds=0.0, settings={**row.settings, "pool": ""}) for row in rows]


def start_and_kill(forks: BaseContext, run: Run, file: Path) -> None:
    process = forks.Process(target=train, args=(run,))  # type: ignore[attr-defined]
    process.start()
    while not file.exists():
        assert process.is_alive()
        time.sleep(0.002)
    process.kill()
    process.join()
