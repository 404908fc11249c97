"""The cache folder, and folders that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from l2a_gym.cache import cache_dir, locked, sha256_of, write_folder, write_text
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
    assert sorted(str(p.relative_to(path)) for p in path.rglob("*")) == ["one", "sub", "sub/two"]
    assert [p.name for p in path.parent.iterdir()] == ["folder"]
    assert path.stat().st_mode & 0o777 == 0o755


def fill_old(beside: Path) -> None:
    (beside / "old").write_text("old")


def test_old_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    write_folder(path, fill_old)

    def fill(beside: Path) -> None:
        assert (path / "old").read_text() == "old"
        (beside / "new").write_text("new")

    write_folder(path, fill)
    assert [p.name for p in path.iterdir()] == ["new"]
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
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_folder(path, fail)
    assert [(p.name, p.read_text()) for p in path.iterdir()] == [("old", "old")]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_text_is_replaced_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "first, and longer")
    write_text(path, "žluťoučký 猫")
    assert path.read_bytes() == "žluťoučký 猫".encode()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
