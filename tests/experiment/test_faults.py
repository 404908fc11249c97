"""Processes killed at a change of the disk, and damaged files: no result is lost, and none is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from l2a_gym.cache import hashes, sha256_of
from l2a_gym.experiment.rows import read_rows

EPISODE = 1 + (1 + 1)  # a dev pass, then a step of an update and a dev pass
SETTINGS = {"algo": "pgpe", "budget": 4 * EPISODE, "num_envs": 1, "students": 1, "export_steps": 1}
REPORTS = [[2 * EPISODE + 1, 4 * EPISODE + 1 + begun] for begun in (0, 1)]
"""Units at the reports: the next pair has begun with its dev pass, once more where training was stopped between."""
Do = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def do(tiny: dict[str, Any], begin: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Do]:
    """Does what is asked in a process of its own, in a cache that all share unless another is given."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        server, pipe = begin("from faults import serve\nserve(pipe, checkpoint)", checkpoint=tiny["checkpoint"])

    def ask(what: str, **request: Any) -> dict[str, Any]:
        values = {"do": what, "cache": cache, "run": {**tiny, **SETTINGS, "general_updates": 0}, **tiny}
        pipe.send(values | request)
        answer: dict[str, Any] = pipe.recv()
        return answer

    yield ask
    pipe.close()
    server.join()


@pytest.fixture(scope="module")
def whole(do: Do, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert do("train", out=folder)["error"] == ""
    return folder


def result(run: Path) -> dict[str, Any]:
    """All that a run's folder says and holds, without wall-clock seconds and where it lies."""
    summary = json.loads((run / "summary.json").read_text())
    del summary["seconds"], summary["row_seconds"], summary["exported"]["texts_per_second"]
    rows = [replace(row, seconds=0.0) for row in read_rows(run / "rows.jsonl")]
    files = {name: hashes(run / name) for name in ("selector", "student", "snapshots")}
    files["candidates"] = {"candidates.parquet": sha256_of(run / "candidates.parquet")}
    return {**summary, **files, "rows": rows, "record": (run / "record.jsonl").read_text()}


def test_a_run_that_is_killed_ends_with_the_same_command(do: Do, whole: Path, tmp_path: Path) -> None:
    assert do("train", out=tmp_path / "run", every=59, copies=tmp_path / "killed")["error"] == ""
    expected, wrong = result(whole), {}
    assert result(tmp_path / "run") == expected
    killed = list((tmp_path / "killed").iterdir())
    assert len(killed) >= 3
    for folder in killed:
        learning = in_the_middle_of_learning(folder)
        again = do("train", out=folder)
        left = [path.name for end in ("new", "old") for path in folder.rglob(f"*.l2a-{end}")]
        if again["error"] or again["warnings"] or left:
            wrong[folder.name] = again, left
        elif learning:  # it goes on with other draws
            found = result(folder)
            spent = [json.loads(line)["spent"] for line in found["record"].splitlines()]
            if spent not in REPORTS or found["spent"] != spent[-1]:
                wrong[folder.name] = found["spent"], spent
        elif differing := differences(result(folder), expected):
            wrong[folder.name] = differing
    assert wrong == {}


def in_the_middle_of_learning(run: Path) -> bool:
    """Whether a selector was saved before its training ended: also if it lies beside its place, which is not there."""
    finished = {
        file.parent.name: json.loads(file.read_text())["finished"]
        for pattern in ("selector", ".selector.*")
        for file in run.glob(f"{pattern}/progress.json")
    }
    return not finished.get("selector") and False in finished.values()


def differences(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    return [name for name in {*one, *two} if one.get(name) != two.get(name)]


def test_a_preparation_that_is_killed_ends_with_the_same_command(do: Do, tmp_path: Path) -> None:
    assert do("prepare", cache=tmp_path / "whole", every=29, copies=tmp_path / "killed")["error"] == ""
    killed, wrong = list((tmp_path / "killed").iterdir()), {}
    assert len(killed) >= 3
    for cache in killed:
        again = do("prepare", cache=cache)
        differing = differences(hashes(cache), hashes(tmp_path / "whole"))
        if again["error"] or again["warnings"] or differing:
            wrong[cache.name] = again, differing
    assert wrong == {}


# Damages

Damage = Callable[[Path, Path], None]


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


NAMED = {
    "config.json": (truncated, missing, shape, swapped),
    "selector/.l2a-gym": (truncated, missing),
    "student/.l2a-gym": (truncated,),
}
"""What may be the user's own."""
MENDED: list[dict[str, tuple[Damage, ...]]] = [
    {"selector/progress.json": (shape,), "selector/pgpe.json": (zeroed, missing, swapped), "selector": (swapped,)},
    {"comparison.json": (truncated, missing), "rows.jsonl": (empty, missing, swapped)},
    {"candidates.json": (shape,), "candidates.parquet": (truncated, missing, swapped)},
    {
        "exported.json": (swapped,),
        "student/model.safetensors": (truncated, swapped),
        "student/tokenizer.json": (empty,),
        "student": (missing,),
    },
]
"""What is made again, stage by stage."""


@pytest.fixture(scope="module")
def other(do: Do, tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another run."""
    folder = tmp_path_factory.mktemp("other") / "run"
    settings = {**tiny, **SETTINGS, "general_updates": 0, "seed": 1}
    assert do("train", out=folder, **{"run": settings})["error"] == ""
    return folder


def test_damages_of_what_may_be_the_users_are_named(do: Do, whole: Path, other: Path, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {}
    for name, damage in kinds(NAMED):
        folder = tmp_path / f"{damage.__name__} {name}".replace("/", " ")
        shutil.copytree(whole, folder)
        damage(folder / name, other / name)
        said = do("train", out=folder)
        if str(folder) not in said["error"] or "\n" in said["error"]:
            wrong[folder.name] = said
    assert wrong == {}


def test_damages_of_a_run_are_mended(do: Do, whole: Path, other: Path, tmp_path: Path) -> None:
    """One of each stage at a time, to spare trainings."""
    wrong: dict[str, Any] = {}
    for number, together in enumerate(zip_longest(*map(kinds, MENDED))):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        damages = [each for each in together if each]
        for name, damage in damages:
            damage(folder / name, other / name)
        said = do("train", out=folder)
        loud = [each for each in damages if not silent(*each)]
        if said["error"] or len(said["warnings"]) < len(loud) or result(folder) != result(whole):
            called = ", ".join(f"{damage.__name__} {name}" for name, damage in damages)
            wrong[called] = said, differences(result(folder), result(whole))
    assert wrong == {}


def kinds(damages: dict[str, tuple[Damage, ...]]) -> list[tuple[str, Damage]]:
    return [(name, damage) for name, each in damages.items() for damage in each]


def silent(name: str, damage: Damage) -> bool:
    """Whether a file is then as if it was never made."""
    return damage is missing or (damage is swapped and name.endswith(".json"))


CACHE = {
    "prepared/*/manifest.json": (zeroed, missing, shape, swapped),
    "prepared/*/pool/*.arrow": (truncated,),
    "prepared/*/tokens/ids.npy": (zeroed, missing),
    "prepared/*/tokens/layout.json": (shape,),
    "prepared/*/few-shot": (missing, swapped),
    "prepared/*/few-shot/logits.npy": (swapped,),
    "prepared/*/student/model.safetensors": (truncated,),
    "masked-lm/*/model.safetensors": (truncated, missing),
    "masked-lm/*/training.json": (empty,),
}
IN_PLACE_OF = {"few-shot": "all-data", "logits.npy": "../all-data/logits.npy", "manifest.json": "tokens/layout.json"}


def test_damages_of_a_cache_are_mended(do: Do, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    for what in ("prepare", "masked-lm"):
        assert do(what, cache=whole)["error"] == ""
    wrong: dict[str, Any] = {}
    for number, (name, damage) in enumerate(kinds(CACHE)):
        cache = tmp_path / str(number)
        shutil.copytree(whole, cache)
        (file,) = cache.glob(name)
        damage(file, file.parent / IN_PLACE_OF.get(file.name, "../few-shot/model/model.safetensors"))
        said = do("masked-lm" if name.startswith("masked-lm") else "prepare", cache=cache)
        differing = differences(hashes(cache), hashes(whole))
        if said["error"] or differing or not (said["warnings"] or damage is missing):
            wrong[f"{damage.__name__} {name}"] = said, differing
    assert wrong == {}
