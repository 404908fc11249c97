"""The fetched data files: verified on each use, mended when damaged, and one sentence when they can't be had.

The fetches here are real downloads of one small package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from l2a_gym.assets import HUTTO, asset_folder
from l2a_gym.cache import sha256_of
from l2a_gym.errors import UserError

NAME = "hutto_ICWSM_2014.tar.gz"
OTHER_WAYS = ["a hub id or a local folder as the teacher's checkpoint", "your own texts as a task file"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package can be had in this test."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "assets").iterdir() if path.suffix != ".lock")


def test_fetch_then_mend_then_use_without_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = asset_folder(HUTTO)
    assert folder == cache / "assets" / "hutto-icwsm-2014"
    assert {path.name: sha256_of(path) for path in folder.glob("[!.]*")} == HUTTO.files
    damages: list[Callable[[Path], object]] = [
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(b"x" + file.read_bytes()[1:]),
        lambda file: file.unlink(),
    ]
    for damage in damages:
        damage(folder / NAME)
        assert {path.name: sha256_of(path) for path in asset_folder(HUTTO).glob("[!.]*")} == HUTTO.files
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert sha256_of(asset_folder(HUTTO) / NAME) == HUTTO.files[NAME]
    assert left_in(cache) == ["hutto-icwsm-2014"]


@pytest.mark.usefixtures("cut_off")
def test_package_that_cannot_be_reached(cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        asset_folder(HUTTO)
    message = str(caught.value)
    assert "vaderSentiment==3.3.2 on PyPI) could not be had: ERROR: No matching distribution found" in message
    assert [way for way in OTHER_WAYS if way not in message] == []
    assert "\n" not in message
    assert left_in(cache) == []


def test_archive_with_another_hash_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_DISABLE_PIP_VERSION_CHECK", raising=False)  # pip's advice to update would hide the reason
    with pytest.raises(UserError, match=f"could not be had: .*{HUTTO.sha256}"):
        asset_folder(replace(HUTTO, sha256="0" * 64))
    assert left_in(cache) == []


def test_file_with_another_hash_is_refused(cache: Path) -> None:
    with pytest.raises(UserError, match=r"does not hold the pinned files of hutto-icwsm-2014: give a hub id"):
        asset_folder(replace(HUTTO, files={NAME: "0" * 64}))
    assert left_in(cache) == []
