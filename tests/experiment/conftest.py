"""Made-up rows of a benchmark, real ones from jobs of seconds, and a run of the small task that is never trained."""

from __future__ import annotations

import ast
import multiprocessing
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.job import Job, attempt
from l2a_gym.experiment.rows import Checkpoint, Row, Student
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.train import train
from l2a_gym.preparation.store import Prepared

MakeRow = Callable[..., Row]
MakeRows = Callable[..., list[Row]]


def row(task: str, selector: str, seed: int, score: float, **values: Any) -> Row:
    """A row of a task on which the teacher has 0.9; other fields in place of those made up."""
    learns = values.pop("learns", False)
    curve = [Checkpoint(300, score / 4), Checkpoint(500, score / 2)] if learns else []
    fields = {
        "budget": 1000,
        "spent": 1000 if learns else 0,
        "reference_score": 0.9,
        "students": (Student(0, score - 0.01, score, ""), Student(1, score + 0.01, score, "")),
        "curve": (*curve, Checkpoint(1000 if learns else 0, score)),
        "domain_share": {"books": [0.5, 0.25], "songs": [0.5, 0.75]},
        "operator_share": {"source": [1.0, 1.0], "swap": [0.0, 0.0]},
        "settings": {"student": "tiny"},
        "options": {},
        "prepared": f"{task}-0",
        "versions": {"torch": "2.13.0"},
        "machine": "x86_64 AVX512",
        "seconds": 90.0,
    }
    return Row(task, selector, seed, **(fields | values))


@pytest.fixture(scope="session")
def make_row() -> MakeRow:
    return row


@pytest.fixture(scope="session")
def make_rows() -> MakeRows:
    """Rows of a selector from its scores: task -> one a seed."""

    def make(selector: str, scores: Mapping[str, Sequence[float]], **values: Any) -> list[Row]:
        return [
            row(task, selector, seed, score, **values)
            for task, each in scores.items()
            for seed, score in enumerate(each)
        ]

    return make


@pytest.fixture(scope="session")
def toy_job() -> Job:
    return Job("toy", "pgpe", seed=0, budget=200, students=2)


@pytest.fixture(scope="session")
def small_job(small: dict[str, Any]) -> Job:
    settings = {name: value for name, value in small.items() if name != "task"}
    return Job(small["task"], "pgpe", seed=0, budget=60, students=2, settings=settings)


@pytest.fixture(scope="session")
def toy_row(toy_job: Job) -> Row:
    return row_of(toy_job)


@pytest.fixture(scope="session")
def small_rows(small_job: Job) -> list[Row]:
    """Rows of three selectors on the small task."""
    return [row_of(replace(small_job, selector=name)) for name in ("uniform", "oracle", "pgpe")]


def row_of(job: Job) -> Row:
    result = attempt(job)
    assert isinstance(result, Row), result
    return result


@pytest.fixture
def forked_workers(forks: BaseContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin local workers as forks."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forks)


@pytest.fixture(scope="module")
def run(small: dict[str, Any]) -> Run:
    return Run(algo="similarity", **small, budget=77, seed=3)


@pytest.fixture(scope="session")
def adapter(small: dict[str, Any]) -> DistillAdapter:
    """The small task, opened once."""
    return DistillAdapter(small["task"], {name: value for name, value in small.items() if name != "task"})


@pytest.fixture(scope="session")
def prepared(adapter: DistillAdapter) -> Prepared:
    return adapter.prepared


@pytest.fixture(scope="session")
def whole_run(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of four trainings' episodes on the small task, which :func:`whole_summary` does."""
    settings = {"budget": 4 * 13, "students": 2, "export_steps": 6}
    return Run(algo="pgpe", **small, **settings, out=tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="session")
def whole_summary(whole_run: Run) -> dict[str, Any]:
    return train(whole_run)


ALONE = """
import sys
sys.modules.update(dict.fromkeys(["l2a_gym", "torch", "transformers"]))  # importing these is an error
"""


@pytest.fixture(scope="session")
def card_says() -> Callable[[Path, Sequence[Any]], list[str]]:
    """Gives the labels that a card's own lines for ONNX give to texts, or pairs, without what they do without."""

    def labels(folder: Path, texts: Sequence[Any]) -> list[str]:
        code = re.search(r"```python\n(import json.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        assert code is not None
        lines, places = re.subn(r"encode_batch\(\[.*\]\)", lambda _: f"encode_batch({[*texts]!r})", code[1])
        assert places == 1
        done = subprocess.run(
            [sys.executable, "-c", ALONE + lines], cwd=folder, capture_output=True, text=True, check=True
        )
        found: list[str] = ast.literal_eval(done.stdout)
        return found

    return labels
