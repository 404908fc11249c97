"""Where jobs are done: in processes of this machine, or on the machines of a Ray cluster. The rows are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from threading import Thread

from l2a_gym.errors import UserError
from l2a_gym.experiment.job import Job, attempt
from l2a_gym.experiment.rows import Failure, Row

Execute = Callable[[Sequence[Job], int, str], Iterator[Row | Failure]]
"""Called as ``execute(jobs, workers, address)``; yields what comes of each job as soon as it is there."""
LOST = "the worker died: out of memory, or killed from outside; the same command tries again"


def execute_locally(jobs: Sequence[Job], workers: int, address: str) -> Iterator[Row | Failure]:
    """Do jobs in so many processes; ``address`` plays no part. A worker that dies costs its job and no other."""
    queue, idle = deque(jobs), [_worker() for _ in range(min(workers, len(jobs)))]
    running: dict[Future[Row | Failure], tuple[ProcessPoolExecutor, Job]] = {}
    try:
        while queue or running:
            while queue and idle:
                worker, job = idle.pop(), queue.popleft()
                running[worker.submit(attempt, job)] = worker, job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                worker, job = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    result, worker = Failure(*job.key, LOST), _worker()
                except Exception as error:  # what came of the job can't be brought over
                    result = Failure(*job.key, f"{type(error).__name__}: {error}")
                idle.append(worker)
                yield result
    finally:
        for child in multiprocessing.active_children():
            child.terminate()  # after Ctrl-C, what is not finished need not be waited for


def _worker() -> ProcessPoolExecutor:
    """One process: were they in one pool, the death of one would break all."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Begin a worker: Ctrl-C is its parent's business, and it ends with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # whatever the job is in the middle of


def execute_on_ray(jobs: Sequence[Job], workers: int, address: str) -> Iterator[Row | Failure]:
    """Do jobs on the Ray cluster at ``address``, one a processor; without an address, on one that is begun here.

    Every machine of the cluster needs this package and a cache; a machine without the prepared tasks prepares them.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError('Ray is not installed: pip install "l2a-gym[ray]", or --executor local') from error
    here = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}  # a user's own selector
    try:
        if ":" in address:
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
        ray.init(address or "local", num_cpus=None if address else workers, log_to_driver=False, runtime_env=here)
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Ray cluster answers at {address!r} ({error}): begin one with `ray start --head`"
        ) from error
    task = ray.remote(num_cpus=1, max_retries=0)(attempt)
    try:
        running = {task.remote(job): job for job in jobs}
        while running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(ready)
            try:
                yield ray.get(ready)
            except ray.exceptions.WorkerCrashedError:
                yield Failure(*job.key, LOST)
            except ray.exceptions.RayError as error:
                yield Failure(*job.key, f"{type(error).__name__}: {error}")
    finally:
        ray.shutdown()


EXECUTORS: dict[str, Execute] = {"local": execute_locally, "ray": execute_on_ray}
