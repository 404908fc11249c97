"""The cache folder on disk: where it lies, and how a folder is written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from l2a_gym.errors import UserError


def cache_dir() -> Path:
    """The cache folder: ``$L2A_CACHE``, or ``~/.cache/l2a-gym``.

    Raises:
        UserError: if the folder can't be made or written to.
    """
    folder = Path(os.environ.get("L2A_CACHE") or Path.home() / ".cache" / "l2a-gym").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"the cache folder {folder} can't be written ({error.strerror}): set L2A_CACHE to another"
        ) from error
    return folder


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to ``path``: one process at a time builds it, the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        yield


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder ``path`` by calling ``fill`` on a new folder beside it, then rename: readers never see a half.

    A folder that stood at ``path`` is replaced. If ``fill`` raises, nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        fill(beside)
        beside.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file beside ``path`` and rename it there."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    _write(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text file beside ``path`` and rename it there."""
    _write(path, text.encode("utf-8"))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
