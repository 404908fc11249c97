"""The cache folder, and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from l2a_gym.cache import (
    SEAL,
    cache_dir,
    check_replaceable,
    damaged,
    locked,
    own_folder,
    seal_of,
    sha256_of,
    tidy,
    write_folder,
    write_text,
)
from l2a_gym.errors import UserError


def test_cache_dir_is_made_where_the_variable_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "a" / "b"))
    assert cache_dir() == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("value", [None, ""])
def test_cache_dir_is_in_the_home_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("L2A_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("L2A_CACHE", value)
    assert cache_dir() == tmp_path / ".cache" / "l2a-gym"


def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("L2A_CACHE", "~/mine")
    assert cache_dir() == tmp_path / "mine"


@pytest.mark.parametrize("below", ["", "cache", "far/below"])
def test_cache_dir_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "file" / below))
    with pytest.raises(UserError, match=r"the cache folder .*file.* can't be written \(.+\): set L2A_CACHE to another"):
        cache_dir()


def test_sha256_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_lock_keeps_others_out_until_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing"
    other = FileLock(f"{path}.lock", timeout=0)
    with locked(path), pytest.raises(Timeout), other:
        pass
    with other:
        assert other.is_locked
    with pytest.raises(RuntimeError, match="inside"), locked(path):
        raise RuntimeError("inside")
    with other:
        assert other.is_locked


def test_folder_appears_when_it_is_full(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder"

    def fill(beside: Path) -> None:
        (beside / "one").write_text("1")
        assert not path.exists()
        assert beside.parent == path.parent
        (beside / "sub").mkdir()
        (beside / "sub" / "two").write_text("2")

    write_folder(path, fill)
    assert sorted(str(p.relative_to(path)) for p in path.rglob("*")) == [SEAL, "one", "sub", "sub/two"]
    assert [p.name for p in path.parent.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("umask", "folders", "files"), [(0o022, 0o755, 0o644), (0o027, 0o750, 0o640), (0, 0o777, 0o666)]
)
def test_permissions_are_those_of_the_umask(tmp_path: Path, umask: int, folders: int, files: int) -> None:
    def fill(beside: Path) -> None:
        (beside / "sub").mkdir()
        (beside / "sub" / "secret").write_text("as safetensors writes it")
        (beside / "sub" / "secret").chmod(0o600)

    before = os.umask(umask)
    try:
        write_folder(tmp_path / "folder", fill)
        write_text(tmp_path / "folder" / "file", "")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "folder").rglob("*")}
    assert modes == {"sub": folders, "secret": files, SEAL: files, "file": files}


def fill_old(beside: Path) -> None:
    (beside / "old").write_text("old")


def test_old_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    write_folder(path, fill_old)

    def fill(beside: Path) -> None:
        assert (path / "old").read_text() == "old"
        (beside / "new").write_text("new")

    write_folder(path, fill)
    assert sorted(p.name for p in path.iterdir()) == [SEAL, "new"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(beside: Path) -> None:
        (beside / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "folder", fail)
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    write_folder(path, fill_old)

    def fail(beside: Path) -> None:
        (beside / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=rf"^{path} can't be written \(No space left on device\): make room"):
        write_folder(path, fail)
    assert (path / "old").read_text() == "old"
    assert damaged(path) == []
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_text_is_replaced_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "first, and longer")
    write_text(path, "žluťoučký 猫")
    assert path.read_bytes() == "žluťoučký 猫".encode()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


# Seals


def test_a_seal_lists_what_was_written(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", fill_old, "key")
    seal = seal_of(tmp_path / "folder")
    assert seal == ("key", {"old": sha256_of(tmp_path / "folder" / "old")})
    assert damaged(tmp_path / "folder", "key") == []
    assert damaged(tmp_path / "folder", "other") == damaged(tmp_path / "folder") == [SEAL]


@pytest.mark.parametrize("content", [None, b"", b"OLD", b"old "])
def test_damaged_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    write_folder(tmp_path / "folder", fill_old)
    (tmp_path / "folder" / "old").unlink()
    if content is not None:
        (tmp_path / "folder" / "old").write_bytes(content)
    assert damaged(tmp_path / "folder") == ["old"]


@pytest.mark.parametrize("seal", ["", "{", "[]", "null", '{"key": ""}', '{"key": "", "files": 3}', "\xff"])
def test_a_seal_that_cannot_be_read_is_none(tmp_path: Path, seal: str) -> None:
    write_folder(tmp_path / "folder", fill_old)
    (tmp_path / "folder" / SEAL).write_bytes(seal.encode("latin-1"))
    assert seal_of(tmp_path / "folder") is None
    assert damaged(tmp_path / "folder") == [SEAL]
    assert not own_folder(tmp_path / "folder")


def test_a_folder_with_a_file_of_the_users_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    check_replaceable(folder)
    folder.mkdir()
    check_replaceable(folder)
    write_folder(folder, fill_old)
    assert own_folder(folder)
    (folder / "old").write_text("damaged, and still ours")
    check_replaceable(folder)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    for mine in (folder, folder / "notes", folder / "notes" / "mine.txt"):
        assert not own_folder(mine)
        with pytest.raises(UserError, match=f"^{mine} would be replaced, and holds what L2A-Gym did not write: move"):
            check_replaceable(mine)


def test_the_folder_behind_a_link_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "folder")
    for _ in range(2):
        write_folder(tmp_path / "link", fill_old)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "folder" / "old").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "link"]


# What a process that died left


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_dead_writers_left_is_cleared_and_what_living_ones_write_is_not(tmp_path: Path) -> None:
    for name in (f".a.{dead()}.l2a-new", f".b.{os.getppid()}.l2a-new", ".c.old", ".d.1.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("half")
    (tmp_path / f".e.json.{dead()}.l2a-new").write_text("{")
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".b.{os.getppid()}.l2a-new", ".c.old", ".d.1.new"]


def sealed(folder: Path, content: str) -> None:
    write_folder(folder, lambda beside: (beside / "file").write_text(content))


@pytest.mark.parametrize("new", [True, False])
def test_killed_between_two_renames_a_folder_is_put_back(tmp_path: Path, new: bool) -> None:
    for content in ("old", "new"):
        sealed(tmp_path / content, content)
    if not new:
        (tmp_path / "new" / SEAL).unlink()
    (tmp_path / "old").rename(tmp_path / ".folder.l2a-old")
    (tmp_path / "new").rename(tmp_path / f".folder.{dead()}.l2a-new")
    tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "file").read_text() == ("new" if new else "old")


def test_killed_after_both_renames_the_new_folder_stays(tmp_path: Path) -> None:
    for name, content in (("folder", "new"), (".folder.l2a-old", "old")):
        sealed(tmp_path / name, content)
    tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "file").read_text() == "new"


# Disks that refuse

FULL = """
import resource
import numpy as np, torch
from pathlib import Path
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from l2a_gym.cache import write_folder, write_text
from l2a_gym.checked import write_array
from l2a_gym.errors import UserError

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
zeros = np.zeros(10_000)
words = Tokenizer(WordLevel({f"word {i}": i for i in range(5000)}, "word 0"))
writes = [
    lambda: write_text(folder / "text", "x" * 20_000),
    lambda: write_array(folder / "array.npy", zeros),
    lambda: write_folder(folder / "one", lambda beside: np.save(beside / "a.npy", zeros)),
    lambda: write_folder(folder / "two", lambda beside: save_file({"a": torch.zeros(9_999)}, beside / "a.safetensors")),
    lambda: write_folder(folder / "three", lambda beside: words.save(str(beside / "tokenizer.json"))),
    lambda: write_folder(folder / "four", lambda beside: (beside / "a").write_bytes(bytes(20_000))),
]
for write in writes:
    try:
        pipe.send(write() or "written")
    except UserError as error:
        pipe.send(str(error))
"""


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(tmp_path: Path, begin: Callable[..., Any]) -> None:
    _, pipe = begin(FULL, folder=tmp_path)
    for name in ("text", "array.npy", "one", "two", "three", "four"):
        line = pipe.recv()
        assert line.startswith(f"{tmp_path}/{name} can't be written ("), line
        assert line.endswith("or L2A_CACHE")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_be_read_is_not_taken_for_a_folder_that_cant_be_written(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/secret")

    with pytest.raises(PermissionError, match="/elsewhere/secret"):
        write_folder(tmp_path / "folder", fail)


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        (tmp_path / "none").read_text()

    with pytest.raises(FileNotFoundError):
        write_folder(tmp_path / "folder", fail)
