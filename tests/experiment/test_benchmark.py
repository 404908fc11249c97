"""A benchmark from its command to its report: what is finished is never done again, and what fails stops nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.benchmark import jobs_of, run_benchmark
from l2a_gym.experiment.json_lines import append
from l2a_gym.experiment.rows import Row, read_rows
from l2a_gym.experiment.settings import Benchmark
from l2a_gym.experiment.suite import BASELINES, SUITES

pytestmark = pytest.mark.usefixtures("forked_workers")
ROOT = Path(__file__).parents[2]
FLAKY = """
from pathlib import Path
from l2a_agents.fixed import Uniform

class Flaky(Uniform):
    def train(self, make_env, budget, seed, log, num_envs=1):
        if not Path({flag!r}).exists():
            raise RuntimeError("not today")
"""
SLOW = """
import time
from l2a_agents.fixed import Uniform

class Slow(Uniform):
    def train(self, make_env, budget, seed, log, num_envs=1):
        time.sleep(60)
"""
COMMAND = """
import multiprocessing, os, runpy, signal, sys

os.setsid()
os.chdir(folder)
signal.signal(signal.SIGINT, signal.default_int_handler)  # the processes of pytest-xdist ignore it
fork = multiprocessing.get_context("fork")
multiprocessing.get_context = lambda _: fork
sys.argv, sys.stderr = command, open("said", "w")
runpy.run_path(command[0], run_name="__main__")
"""


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return Benchmark(tasks=("toy",), selectors=("random-half",), seeds=(0,), workers=1, out=tmp_path / "out")


def lines(benchmark: Benchmark, name: str = "rows.jsonl") -> list[str]:
    return (benchmark.folder / name).read_text(encoding="utf-8").splitlines()


def test_rows_of_all_jobs_and_a_report(benchmark: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run_benchmark(benchmark)
    names = [*BASELINES, "random-half"]  # the baselines are always there
    assert [row.key for row in rows] == [("toy", name, 0) for name in names]
    assert [row.as_json() for row in read_rows(benchmark.folder / "rows.jsonl")] == [row.as_json() for row in rows]
    assert {row.budget for row in rows} == {SUITES["smoke"].budget}
    assert "<html" in (benchmark.folder / "report.html").read_text(encoding="utf-8")
    config = json.loads((benchmark.folder / "config.json").read_text())
    assert [config[name] for name in ("tasks", "selectors", "seeds")] == [["toy"], names, [0]]
    assert "random-half" in capsys.readouterr().out


def test_finished_rows_are_not_done_again(benchmark: Benchmark) -> None:
    run_benchmark(benchmark)
    before = lines(benchmark)
    more = run_benchmark(replace(benchmark, seeds=(0, 1)))
    assert lines(benchmark)[: len(before)] == before
    assert json.loads((benchmark.folder / "config.json").read_text())["seeds"] == [0, 1]
    assert len(lines(benchmark)) == len(more) == 2 * len(before)
    assert len(run_benchmark(benchmark)) == len(more)  # all of the folder: what the report shows
    assert len(lines(benchmark)) == len(more)


def test_a_failing_run_is_recorded_and_tried_again(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "today"
    (tmp_path / "flaky.py").write_text(FLAKY.format(flag=str(flag)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    benchmark = replace(benchmark, selectors=("flaky:Flaky", "random-half"))
    assert len(run_benchmark(benchmark)) == len(BASELINES) + 1
    (failure,) = map(json.loads, lines(benchmark, "failures.jsonl"))
    assert (failure["selector"], failure["error"].splitlines()[-1]) == ("flaky:Flaky", "RuntimeError: not today")
    assert "not today" in (benchmark.folder / "report.html").read_text(encoding="utf-8")
    assert len(run_benchmark(replace(benchmark, selectors=("random-half",)))) == len(BASELINES) + 1
    assert len(lines(benchmark, "failures.jsonl")) == 1  # nobody has tried again
    flag.touch()
    assert len(run_benchmark(benchmark)) == len(BASELINES) + 2
    assert not (benchmark.folder / "failures.jsonl").exists()


def test_a_task_that_cant_be_prepared_fails_its_jobs_alone(benchmark: Benchmark, tmp_path: Path) -> None:
    task = tmp_path / "broken.toml"
    task.write_text('target = "a"\nshots = 4\n[domains]\na = "a.csv"\nb = "b.csv"\n', encoding="utf-8")
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("text,label\nfine,good\n", encoding="utf-8")
    rows = run_benchmark(replace(benchmark, tasks=("toy", str(task))))
    assert {row.task for row in rows} == {"toy"}
    assert len(lines(benchmark, "failures.jsonl")) == len(BASELINES) + 1


def test_rows_that_other_settings_made_are_refused(benchmark: Benchmark, toy_row: Row) -> None:
    benchmark.folder.mkdir()
    append(benchmark.folder / "rows.jsonl", replace(toy_row, selector="uniform", seed=7).as_json())
    with pytest.raises(UserError, match=r"a row of uniform on toy, seed 7, that was made with budget.*200.*--out"):
        run_benchmark(benchmark)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"selectors": ("l2a",)}, r"'l2a' is a method with .*: its selector is influence"),
        ({"tasks": ("hutto/nyt-63",)}, r"unknown task 'hutto/nyt-63': did you mean 'hutto/nyt-64'"),
        ({"tasks": ("hutto/nyt-64@lexicl",)}, r"unknown pool 'lexicl': did you mean 'lexical'"),
        ({"selectors": ("pp",)}, r"unknown selector 'pp': did you mean 'ppo'"),
        ({"selectors": ("ppo@frosen",)}, r"unknown control 'frosen' of 'ppo': valid are shuffled, frozen"),
        ({"selectors": ("no_module:Mine",)}, r"selector 'no_module:Mine': No module named 'no_module'"),
    ],
)
def test_what_cant_be_run_is_named_before_anything_runs(
    benchmark: Benchmark, values: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_benchmark(replace(benchmark, **values))  # type: ignore[arg-type]  # some are wrong on purpose
    assert not benchmark.folder.exists()


def test_what_is_named_twice_is_done_once(benchmark: Benchmark) -> None:
    twice = replace(benchmark, tasks=("toy", "toy"), selectors=("uniform", "uniform"), seeds=(1, 1))
    assert [job.key for job in jobs_of(twice)] == [("toy", name, 1) for name in BASELINES]


def test_suites_keep_tuning_and_test_seeds_apart() -> None:
    for suite in SUITES.values():
        assert not set(suite.seeds) & set(suite.tuning)
    assert {job.seed for job in jobs_of(Benchmark(suite="core", tuning=True))} == set(SUITES["core"].tuning)
    assert {job.seed for job in jobs_of(Benchmark(suite="core"))} == set(range(6))


def test_stopping_a_command_loses_no_finished_row(tmp_path: Path, begin: Callable[..., Any]) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    out = tmp_path / "out"
    options = ["--tasks", "toy", "--seeds", "0", "--workers", "1", "--out", str(out)]
    command = [str(ROOT / "scripts" / "benchmark.py"), "--selectors", "slow:Slow", *options]
    process, _ = begin(COMMAND, folder=tmp_path, command=command)
    deadline = time.monotonic() + 120
    while not (out / "rows.jsonl").is_file() or len(read_rows(out / "rows.jsonl")) < len(BASELINES):
        assert process.is_alive(), (tmp_path / "said").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    process.join(60)
    said = (tmp_path / "said").read_text()
    assert process.exitcode == 130
    assert said.strip().endswith("stopped; what was finished is kept")
    assert "Traceback" not in said
    assert [row.selector for row in read_rows(out / "rows.jsonl")] == [*BASELINES]
