"""Jobs in processes of this machine and on a Ray cluster: the same rows, and a worker's death costs its job alone."""

from __future__ import annotations

import multiprocessing
import os
import select
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.executors import LOST, execute_locally, execute_on_ray
from l2a_gym.experiment.job import Job
from l2a_gym.experiment.rows import Failure, Row
from l2a_gym.experiment.seeds import training_seed

SUICIDE = """
import os, signal
from l2a_agents.fixed import Uniform

class Suicidal(Uniform):
    def train(self, make_env, budget, seed, log, num_envs=1):
        if seed == {seed}:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def jobs(toy_job: Job, small_job: Job, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Job]]:
    """Four jobs, the third of which kills its process."""
    folder = tmp_path_factory.mktemp("suicidal")
    (folder / "suicidal.py").write_text(SUICIDE.format(seed=training_seed("toy", 1)), encoding="utf-8")
    suicidal = replace(toy_job, selector="suicidal:Suicidal")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield [toy_job, small_job, replace(suicidal, seed=1), suicidal]


@pytest.fixture(scope="module")
def here(jobs: list[Job], forks: BaseContext) -> dict[object, Row | Failure]:
    """What comes of them in processes of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", lambda _: forks)
        return by_key(execute_locally(jobs, 2, ""))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray cluster on this machine that does one job at a time."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_worker_niceness", "0")  # else its workers wait for all other work of the machine
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield nodes.address
    nodes.shutdown()
    patch.undo()


def by_key(results: Iterator[Row | Failure]) -> dict[object, Row | Failure]:
    """Without the wall-clock seconds, which alone may differ."""
    return {each.key: replace(each, seconds=0.0) if isinstance(each, Row) else each for each in results}


def test_a_workers_death_costs_its_job_alone(jobs: list[Job], here: dict[object, Row | Failure]) -> None:
    assert set(here) == {job.key for job in jobs}
    [lost] = [each for each in here.values() if isinstance(each, Failure)]
    assert (lost.key, lost.error) == (jobs[2].key, LOST)


def test_ray_and_local_give_the_same_rows(jobs: list[Job], here: dict[object, Row | Failure], cluster: str) -> None:
    assert by_key(execute_on_ray(jobs, 2, cluster)) == here


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:here"])
def test_no_cluster_is_said_in_a_sentence(toy_job: Job, address: str) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(UserError, match=f"no Ray cluster answers at '{address}' .*ray start --head"):
        list(execute_on_ray([toy_job], 1, address))


PARENT = """
import multiprocessing
from l2a_gym.experiment.executors import execute_locally
from l2a_gym.experiment.job import Job

fork = multiprocessing.get_context("fork")
multiprocessing.get_context = lambda _: fork
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


def test_workers_end_with_a_parent_that_is_killed(
    tmp_path: Path, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"  # closed by nobody but the worker's end
    os.mkfifo(pipe)
    (tmp_path / "endless.py").write_text(ENDLESS.format(pipe=str(pipe)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    parent, _ = begin(PARENT)
    with pipe.open("rb", buffering=0) as worker:
        assert worker.read(7) == b"started"
        parent.kill()
        parent.join()
        assert select.select([worker], [], [], 60)[0]
        assert worker.read() == b""
