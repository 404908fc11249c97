"""The cache folder on disk: where it lies, and how files and folders are written whole or not at all.

A folder is filled beside its place and sealed: its last file, :data:`SEAL`, lists what was written with its SHA-256.
So a folder of ours is told from one of the user's, and what was damaged since is found.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from l2a_gym.errors import UserError

log = logging.getLogger(__name__)

SEAL = ".l2a-gym"
"""The file of a sealed folder: JSON with a ``key`` and ``files``, name -> SHA-256."""
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
UNWRITABLE = (*READ_ONLY, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
"""Numbers of errors that say of a place that it can't be written, or holds no more."""
_LEFT = re.compile(r"\.(?P<name>.+)\.(?:(?P<writer>\d{1,9})\.l2a-new|l2a-old)", re.DOTALL)


def cache_dir() -> Path:
    """The cache folder: ``$L2A_CACHE``, or ``~/.cache/l2a-gym``. It may be read-only, if what is needed is in it.

    Raises:
        UserError: if the folder isn't there and can't be made.
    """
    folder = Path(os.environ.get("L2A_CACHE") or Path.home() / ".cache" / "l2a-gym").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache folder {folder} can't be written ({error.strerror}): set L2A_CACHE to another"
        ) from error
    return folder


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; a file that has not changed since is read once in a process."""
    now = path.stat()
    return _sha256(path, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))


@lru_cache(maxsize=4096)
def _sha256(path: Path, stands: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to ``path``: one process at a time builds it, the others wait.

    Where nothing can be written, nobody builds, and there is no lock.
    """
    lock = FileLock(f"{path}.lock")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            log.info("waiting for another process that works on %s", path)
            lock.acquire()
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Put what the disk refuses into a sentence.

    Raises:
        UserError: ``path`` can't be written.
    """
    try:
        yield
    except Exception as error:
        if not refused(error) or _elsewhere(error, path):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{path} can't be written ({reason}): make room or give permission there, or name another place with --out "
            "or L2A_CACHE"
        ) from error


def refused(error: Exception) -> bool:
    """Whether an error is the disk's: full, read-only, or something else in the way.

    Packages written in Rust, and NumPy, say so in their messages alone.
    """
    if isinstance(error, OSError) and error.errno:
        return error.errno in UNWRITABLE
    number = re.search(r"\(os error (\d+)\)", str(error))
    return bool(number and int(number[1]) in UNWRITABLE) or "requested and" in str(error)


def _elsewhere(error: Exception, path: Path) -> bool:
    """Whether an error names a file that is neither beside ``path`` nor on the way to it, such as one that is read."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str):
        return False
    file, path = Path(name).absolute(), path.absolute()
    return not (file.is_relative_to(path.parent) or path.is_relative_to(file))


def write_folder(path: Path, fill: Callable[[Path], object], key: str = "") -> None:
    """Make the folder ``path`` by calling ``fill`` on a new folder beside it, then rename: readers never see a half.

    A folder that stood at ``path`` is replaced: first ask :func:`own_folder`. If ``fill`` raises, nothing is left
    behind; if the process dies, the old folder or the new one is whole, and :func:`tidy` puts it back. A symbolic link
    stays, and the folder that it leads to is written.

    Args:
        path: the folder.
        fill: writes its files; they get the permissions that the umask gives.
        key: names what the files were made from, for :func:`damaged`.

    Raises:
        UserError: the disk is full or read-only.
    """
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}.l2a-new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy(path.parent)
        try:
            beside.mkdir()
            fill(beside)
            _seal(beside, key)
            replace_folder(path, beside)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _seal(folder: Path, key: str) -> None:
    files = hashes(folder)
    permissions = folder.stat().st_mode & 0o666
    (folder / SEAL).write_text(json.dumps(Seal(key, files)._asdict(), indent=1), encoding="utf-8")
    for path in (folder, *folder.rglob("*")):
        if path.is_file() and path.stat().st_nlink == 1:  # a file with a second name is another folder's as well
            path.chmod(permissions)
        _sync(path)


def replace_folder(path: Path, beside: Path) -> None:
    """Rename the folder ``beside``, on the same disk, to ``path``; a folder of ours that stood there goes."""
    old = path.with_name(f".{path.name}.l2a-old")
    if path.exists():
        path.rename(old)
    beside.rename(path)
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Clear what writers that died left in ``folder``.

    Of a folder that one of them was replacing, the new or the old is put back. What living ones write is left alone.
    """
    left: dict[str, dict[Path, str | None]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _LEFT.fullmatch(path.name):
            left.setdefault(match["name"], {})[path] = match["writer"]
    for name, writers in left.items():
        if any(writer and _alive(int(writer)) for writer in writers.values()):
            continue
        whole = [path for path, writer in writers.items() if writer and seal_of(path)]
        whole += [path for path, writer in writers.items() if not writer]
        if whole and not (folder / name).exists():
            with suppress(FileNotFoundError):  # another process was quicker
                whole[0].rename(folder / name)
        for path in writers:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    """Whether another process has this number; this one has left nothing that it still writes."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()


def hashes(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of all files in a folder and its folders, but for the seal."""
    return {name: sha256_of(folder / name) for name in _files(folder)}


def _files(folder: Path) -> list[str]:
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return [name for name in names if name != SEAL]


class Seal(NamedTuple):
    """What a folder was made from, and name -> SHA-256 of its files as they were written."""

    key: str
    files: dict[str, str]


def seal_of(folder: Path) -> Seal | None:
    """A folder's seal; None where there is none that can be read."""
    try:
        seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return Seal(str(seal["key"]), dict(seal["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def damaged(folder: Path, key: str = "") -> list[str]:
    """Files of a sealed folder that are missing or not as they were written; the seal, where its key is another."""
    seal = seal_of(folder)
    if seal is None or seal.key != key:
        return [SEAL]
    found = hashes(folder)
    return [name for name, sha in seal.files.items() if found.get(name) != sha]


def own_folder(folder: Path) -> bool:
    """Whether :func:`write_folder` wrote a folder and all files in it, so that it may be replaced."""
    seal = seal_of(folder)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    return seal is not None and there <= {*seal.files, SEAL}


def check_replaceable(folder: Path) -> None:
    """Refuse to replace what is the user's.

    Raises:
        UserError: ``folder`` is a file, or holds files that :func:`write_folder` didn't write.
    """
    if folder.exists() and not own_folder(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(
            f"{folder} would be replaced, and holds what L2A-Gym did not write: move it away or name another folder"
        )


def write_text(path: Path, text: str) -> None:
    """Write a text file beside ``path`` and rename it there."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside ``path`` and rename it there.

    Raises:
        UserError: the disk is full or read-only.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.l2a-new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            _sync(beside)
            beside.replace(path)
            _sync(path.parent)
        finally:
            beside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk, so that a power cut can't take it back."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
