"""Jobs in processes of this machine and on a Ray cluster: the same rows, and a worker's death costs its job alone."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.executors import EXECUTORS, LOST, execute_locally, execute_on_ray
from l2a_gym.experiment.job import Job
from l2a_gym.experiment.rows import Failure, Row
from l2a_gym.experiment.seeds import training_seed

pytestmark = pytest.mark.usefixtures("forked_workers")
SUICIDE = """
import os, signal
from l2a_agents.fixed import Uniform

class Suicidal(Uniform):
    def train(self, make_env, budget, seed, log, num_envs=1):
        if seed == {seed}:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def jobs(toy_job: Job, small_job: Job) -> list[Job]:
    return [replace(job, seed=seed) for seed in (0, 1) for job in (toy_job, small_job)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray cluster of two nodes on this machine."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_worker_niceness", "0")  # else its workers wait for all other work of the machine
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()
    patch.undo()


def by_key(results: Iterator[Row | Failure]) -> dict[object, Row | Failure]:
    """Without the wall-clock seconds, which alone may differ."""
    return {each.key: replace(each, seconds=0.0) if isinstance(each, Row) else each for each in results}


def test_ray_and_local_give_the_same_rows(jobs: list[Job], cluster: str) -> None:
    here = by_key(execute_locally(jobs, 2, ""))
    there = by_key(execute_on_ray(jobs, 2, cluster))
    assert all(isinstance(row, Row) for row in here.values()), here
    assert here == there
    assert set(here) == {job.key for job in jobs}


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_workers_death_costs_its_job_alone(
    name: str, toy_job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("cluster") if name == "ray" else ""
    jobs = [replace(toy_job, selector="suicidal:Suicidal", seed=seed) for seed in range(4)]
    (tmp_path / "suicidal.py").write_text(SUICIDE.format(seed=training_seed("toy", 1)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    results = by_key(EXECUTORS[name](jobs, 2, address))
    lost = [each for each in results.values() if isinstance(each, Failure)]
    assert [failure.seed for failure in lost] == [1]
    assert lost[0].error.startswith(LOST)
    assert len(results) == 4


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:here"])
def test_no_cluster_is_said_in_a_sentence(toy_job: Job, address: str) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(UserError, match=f"no Ray cluster answers at '{address}' .*ray start --head"):
        list(execute_on_ray([toy_job], 1, address))


PARENT = """
import sys
from l2a_gym.experiment.executors import execute_locally
from l2a_gym.experiment.job import Job

if __name__ == "__main__":
    list(execute_locally([Job("toy", "endless:Endless", 0, 100, 1)], 1, ""))
"""
ENDLESS = """
import time
from l2a_agents.fixed import Uniform

class Endless(Uniform):
    def train(self, make_env, budget, seed, log, num_envs=1):
        with open({pipe!r}, "wb", buffering=0) as pipe:
            pipe.write(b"started")
            time.sleep(600)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # closed by nobody but the worker's end
    os.mkfifo(pipe)
    (tmp_path / "endless.py").write_text(ENDLESS.format(pipe=str(pipe)), encoding="utf-8")
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], env={**os.environ, "PYTHONPATH": path})
    with pipe.open("rb", buffering=0) as worker:
        assert worker.read(7) == b"started"
        parent.kill()
        parent.wait()
        assert select.select([worker], [], [], 60)[0]
        assert worker.read() == b""
