"""Processes that are killed at a change of the disk, and damaged files: nothing is lost, and no result is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2a_gym.cache import hashes

EPISODE = 1 + 4 * (2 + 1)
SETTINGS = {"algo": "reinforce", "budget": 4 * EPISODE, "num_envs": 1, "student_seeds": 1, "export_steps": 1}
Do = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def do(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Do]:
    """Does what is asked in a process of its own, in a cache that all share unless another is given."""
    cache = tmp_path_factory.mktemp("cache")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, str(Path(__file__).with_name("faults.py"))]
    server = subprocess.Popen(command, text=True, env=environment, **pipes)  # type: ignore[call-overload]

    def ask(what: str, **request: Any) -> dict[str, Any]:
        values = {"do": what, "cache": str(cache), "run": {**small, **SETTINGS, "general_updates": 0}, **small}
        server.stdin.write(json.dumps(values | request, default=str) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    yield ask
    server.stdin.close()
    server.wait()


@pytest.fixture(scope="module")
def whole(do: Do, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert do("train", out=folder)["error"] == ""
    return folder


def result(run: Path) -> dict[str, Any]:
    """All that a run's folder says and holds, without wall-clock seconds and where it lies."""
    summary = json.loads((run / "summary.json").read_text())
    for rows in summary["rows"].values():
        for row in rows:
            del row["seconds"]
    del summary["seconds"], summary["student_seconds"]
    files = {name: hashes(run / name) for name in ("selector", "student")}
    return {**summary, **files, "record": (run / "record.jsonl").read_text()}


def moments(count: int, number: int) -> list[int]:
    """So many of the changes 1, ..., count: one drawn from each part."""
    ends = np.linspace(1, count + 1, number + 1)
    rng = np.random.default_rng(17)
    return sorted({int(low + rng.random() * (high - low)) for low, high in pairwise(ends)})


def test_a_run_that_is_killed_ends_with_the_same_command(do: Do, whole: Path, tmp_path: Path) -> None:
    count = do("train", out=tmp_path / "counted")["changes"]
    assert result(tmp_path / "counted") == result(whole)
    for moment in moments(count, 20):
        folder = tmp_path / str(moment)
        assert do("train", out=folder, kill_at=moment)["killed"], moment
        saved = folder / "selector" / "progress.json"
        learning = saved.is_file() and not json.loads(saved.read_text())["finished"]
        again = do("train", out=folder)
        assert (again["error"], again["warnings"]) == ("", []), moment
        assert [path for end in ("new", "old") for path in folder.rglob(f"*.l2a-{end}")] == [], moment
        found = result(folder)
        if learning:  # it goes on with other draws
            spent = [json.loads(line)["spent"] for line in found["record"].splitlines()]
            assert spent == [2 * EPISODE, 4 * EPISODE], moment
            assert found["spent"] == 4 * EPISODE
        else:
            assert found == result(whole), moment


def test_a_preparation_that_is_killed_ends_with_the_same_command(do: Do, tmp_path: Path) -> None:
    count = do("prepare", cache=tmp_path / "whole")["changes"]
    for moment in moments(count, 10):
        cache = tmp_path / str(moment)
        assert do("prepare", cache=cache, kill_at=moment)["killed"], moment
        again = do("prepare", cache=cache)
        assert (again["error"], again["warnings"]) == ("", []), moment
        assert hashes(cache) == hashes(tmp_path / "whole"), moment


# Damages


def truncated(file: Path, _: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path, _: Path) -> None:
    file.write_bytes(b"")


def zeroed(file: Path, _: Path) -> None:
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(content[:half] + bytes(len(content) - half))


def missing(file: Path, _: Path) -> None:
    shutil.rmtree(file) if file.is_dir() else file.unlink()


def shape(file: Path, _: Path) -> None:
    file.write_text('{"rows": [], "spent": "all", "theta": [[1]]}')


def swapped(file: Path, other: Path) -> None:
    missing(file, other)
    shutil.copytree(other, file) if other.is_dir() else shutil.copy(other, file)


ALL = (truncated, empty, zeroed, missing, shape, swapped)
RUN = {
    "config.json": (truncated, missing, shape, swapped),
    "selector/progress.json": (truncated, zeroed, shape),
    "selector/reinforce.json": ALL,
    "selector/.l2a-gym": (truncated, missing),
    "selector": (swapped,),
    "comparison.json": ALL,
    "exported.json": ALL,
    "student/model.safetensors": (truncated, zeroed, missing, swapped),
    "student/tokenizer.json": (empty,),
    "student/.l2a-gym": (truncated,),
    "student": (missing, swapped),
}


@pytest.fixture(scope="module")
def other(do: Do, small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another run."""
    folder = tmp_path_factory.mktemp("other") / "run"
    settings = {**small, **SETTINGS, "general_updates": 0, "seed": 1}
    assert do("train", out=folder, **{"run": settings})["error"] == ""
    return folder


def test_damages_of_a_run_are_mended_or_named(do: Do, whole: Path, other: Path, tmp_path: Path) -> None:
    kinds = [(name, damage) for name, damages in RUN.items() for damage in damages]
    assert len(kinds) >= 30
    for number, (name, damage) in enumerate(kinds):
        what, folder = f"{damage.__name__} {name}", tmp_path / str(number)
        shutil.copytree(whole, folder)
        damage(folder / name, other / name)
        said = do("train", out=folder)
        if said["error"]:
            assert said["error"].count("\n") == 0, (what, said)
            assert str(folder) in said["error"], (what, said)
            assert name.startswith("config") or ".l2a-gym" in name, (what, said)
        else:
            assert result(folder) == result(whole), what
            assert said["warnings"] or damage in (missing, swapped), what


CACHE = {
    "prepared/*/manifest.json": ALL,
    "prepared/*/pool/*.arrow": (truncated, zeroed),
    "prepared/*/tokens/ids.npy": (truncated, zeroed, missing),
    "prepared/*/tokens/layout.json": (shape,),
    "prepared/*/few-shot": (missing, swapped),
    "prepared/*/few-shot/logits.npy": (zeroed, swapped),
    "prepared/*/student/model.safetensors": (truncated, swapped),
    "masked-lm/*/model.safetensors": (truncated, zeroed, missing),
    "masked-lm/*/training.json": (empty,),
}
IN_PLACE_OF = {"few-shot": "all-data", "logits.npy": "../all-data/logits.npy", "manifest.json": "tokens/layout.json"}


def test_damages_of_a_cache_are_mended(do: Do, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    for what in ("prepare", "masked-lm"):
        assert do(what, cache=whole)["error"] == ""
    kinds = [(name, damage) for name, damages in CACHE.items() for damage in damages]
    assert len(kinds) >= 20
    for number, (name, damage) in enumerate(kinds):
        cache = tmp_path / str(number)
        shutil.copytree(whole, cache)
        (file,) = cache.glob(name)
        damage(file, file.parent / IN_PLACE_OF.get(file.name, "../few-shot/model/model.safetensors"))
        said = do("masked-lm" if name.startswith("masked-lm") else "prepare", cache=cache)
        what = f"{damage.__name__} {name}"
        assert said["error"] == "", (what, said)
        assert said["warnings"] or damage is missing, what
        assert hashes(cache) == hashes(whole), what
