"""Prepared folders in one file, for those who repeat results: the same preparation gives other numbers elsewhere."""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from l2a_gym.cache import SEAL, cache_dir, hashes, locked, replace_folder, seal_of, sha256_of, writing
from l2a_gym.checked import read_json
from l2a_gym.errors import UserError

MANIFEST = "manifest.json"
_NAME = re.compile(r"[a-z0-9-]{1,200}")
"""What a prepared folder may be called."""


def export_prepared(folders: Sequence[Path], to: Path) -> str:
    """Pack prepared folders into one file, which is written beside ``to`` and renamed.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: the file can't be written.
    """
    beside = to.with_name(f".{to.name}.{os.getpid()}.l2a-new")
    with writing(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(beside, "w") as tar:
                for folder in folders:
                    tar.add(folder, folder.name)
            beside.replace(to)
        finally:
            beside.unlink(missing_ok=True)
    return sha256_of(to)


def import_prepared(file: Path) -> list[str]:
    """Put the folders of :func:`export_prepared` into the cache, in the place of those of the same names.

    Returns:
        Their names.

    Raises:
        UserError: the file can't be read, or holds anything else; the cache is as it was then.
    """
    cache = cache_dir() / "prepared"
    with writing(cache):
        cache.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=cache) as name:
            _extract(file, Path(name))
            folders = sorted(Path(name).iterdir())
            for folder in folders:
                _check(file, folder)
            for folder in folders:
                with locked(cache / folder.name):
                    replace_folder(cache / folder.name, folder)
    return [folder.name for folder in folders]


def _extract(file: Path, to: Path) -> None:
    try:
        with tarfile.open(file, "r:") as tar:
            tar.extractall(to, filter="data")  # nothing outside of the folder, and no devices
    except (FileNotFoundError, IsADirectoryError, PermissionError, tarfile.TarError) as error:
        what = "l2a benchmark --export-prepared makes them"
        raise UserError(f"{file} can't be read as prepared files ({error}): {what}") from error


def _check(file: Path, folder: Path) -> None:
    """Refuse a folder that is not as it was prepared."""
    manifest = read_json(folder / MANIFEST) if _NAME.fullmatch(folder.name) else None
    if manifest is None:
        raise UserError(f"{file} holds {folder.name}, which is no prepared folder: get the file again")
    found = hashes(folder)
    expected = {*manifest["files"], MANIFEST, *(f"{stage}/{SEAL}" for stage in manifest["stages"])}
    for name in sorted({*found} | expected):
        if name not in found or name not in expected or manifest["files"].get(name, found[name]) != found[name]:
            raise UserError(f"{file}: {folder.name}/{name} is not as it was prepared: get the file again")
    for stage, key in manifest["stages"].items():
        seal = seal_of(folder / stage)
        if seal is None or seal.key != key:
            raise UserError(f"{file}: {folder.name}/{stage} is not as it was prepared: get the file again")
