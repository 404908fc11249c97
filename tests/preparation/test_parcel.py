"""Prepared folders in one file: they arrive as they were sent, and nothing else does."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from l2a_gym.cache import SEAL, cache_dir, hashes, sha256_of
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.errors import UserError
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.open_task import OpenTask
from l2a_gym.preparation.parcel import export_prepared, import_prepared
from l2a_gym.preparation.store import Prepared


@pytest.fixture(scope="module")
def opened(small: dict[str, Any]) -> tuple[OpenTask, Preparation]:
    config = Preparation(checkpoint=small["checkpoint"], general=GeneralDistillation(updates=0))
    return OpenTask(small["task"]), config


@pytest.fixture(scope="module")
def sent(opened: tuple[OpenTask, Preparation], tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Path]:
    """A prepared folder, and the file that it was packed into."""
    prepared = opened[0].prepared(opened[1], torch.device("cpu"))
    file = tmp_path_factory.mktemp("sent") / "small.tar"
    assert export_prepared([prepared.folder], file) == sha256_of(file)
    return prepared, file


@pytest.fixture
def elsewhere(tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine's cache."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "assets").symlink_to(cache_dir() / "assets")
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prepared"


def test_a_parcel_is_used_as_if_it_had_been_prepared_here(
    opened: tuple[OpenTask, Preparation], sent: tuple[Prepared, Path], elsewhere: Path
) -> None:
    prepared, file = sent
    own = elsewhere / prepared.folder.name  # what was prepared here before, with other numbers
    shutil.copytree(prepared.folder, own)
    (own / "answers" / "few-shot.npy").write_bytes(b"0")
    assert import_prepared(file) == [own.name]
    assert hashes(own) == hashes(prepared.folder)
    before = {path: path.stat().st_mtime_ns for path in own.rglob("*")}
    task, config = opened
    assert prepare(task.task(config.checkpoint), config, torch.device("cpu")).folder == own
    assert {path: path.stat().st_mtime_ns for path in own.rglob("*")} == before
    assert sorted(path.name for path in elsewhere.iterdir()) == [own.name, f"{own.name}.lock"]


def changed(tmp_path: Path, sent: tuple[Prepared, Path], change: Callable[[Path], object]) -> Path:
    """The parcel after something was changed in it."""
    prepared, file = sent
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path / "open", filter="data")
    change(tmp_path / "open" / prepared.folder.name)
    with tarfile.open(tmp_path / "changed.tar", "w") as tar:
        for folder in (tmp_path / "open").iterdir():
            tar.add(folder, folder.name)
    return tmp_path / "changed.tar"


def forge_key(folder: Path) -> None:
    seal = json.loads((folder / "answers" / SEAL).read_text())
    (folder / "answers" / SEAL).write_text(json.dumps({**seal, "key": "0"}))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda folder: (folder / "answers" / "mean.npy").write_bytes(b"0"), "answers/mean.npy is not as it was"),
        (lambda folder: (folder / "answers" / "few-shot.npy").write_bytes(b"0"), "answers/few-shot.npy is not as"),
        (lambda folder: (folder / "student" / "model.safetensors").unlink(), "student/model.safetensors is not as"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "is no prepared folder"),
        (lambda folder: folder.rename(folder.with_name("Other_Name")), "holds Other_Name, which is no prepared folder"),
        (forge_key, "answers is not as it was prepared"),
    ],
)
def test_a_changed_parcel_is_refused_whole(
    sent: tuple[Prepared, Path], elsewhere: Path, tmp_path: Path, change: Callable[[Path], object], name: str
) -> None:
    file = changed(tmp_path, sent, change)
    with pytest.raises(UserError, match=name):
        import_prepared(file)
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_is_no_parcel_is_refused(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "text.tar").write_text("no archive")
    for name in ("text.tar", "missing.tar"):
        with pytest.raises(UserError, match=f"{name} can't be read as prepared files"):
            import_prepared(tmp_path / name)
    with tarfile.open(tmp_path / "up.tar", "w") as tar:
        tar.add(tmp_path / "text.tar", "../outside")
    with pytest.raises(UserError, match="can't be read as prepared files"):
        import_prepared(tmp_path / "up.tar")
    assert not (elsewhere / "outside").exists()


def test_a_benchmark_packs_what_its_rows_need_once(
    sent: tuple[Prepared, Path], small: dict[str, Any], tmp_path: Path, l2a: Any
) -> None:
    file = tmp_path / "all.tar"
    words = ("--tasks", small["task"], "toy", "--seeds", "0", "1", "--export-prepared", str(file))
    options = {"device": "cpu", "checkpoint": small["checkpoint"], "out": str(tmp_path / "rows")}
    code, out, _ = l2a("benchmark", *words, **options)
    assert (code, out) == (None, f"{file}: SHA-256 {sha256_of(file)}\n")
    with tarfile.open(file) as tar:
        (name,) = {Path(each).parts[0] for each in tar.getnames()}
    assert name.startswith("task-")
    assert not (tmp_path / "rows").exists()
