"""Files on disk: only regular ones of a bearable size are opened, and text and JSON are decoded with clear errors."""

from __future__ import annotations

import codecs
import json
import os
import stat
from pathlib import Path
from typing import Any

from l2a_gym.errors import UserError, nearest

MEGABYTE = 2**20
ROW = 256
"""Bytes that a row takes in memory besides its cells."""
SMALL = 16
"""Megabytes that a file of settings (a task file, the JSON of a saved data set) may have."""


def check_file(path: Path, limit: int | None) -> None:
    """Raise a :class:`UserError` unless ``path`` is a regular file of at most ``limit`` megabytes (None: of any size).

    A pipe could wait for ever, and a device like ``/dev/zero`` never ends.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        near = nearest(path.name, [other.name for other in path.parent.glob("*")])
        raise UserError(f"there is no {path}" + (f": did you mean {near!r}?" if near else "")) from error
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path} is not a path ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path} is not a regular file")
    check_size(path, status.st_size, limit)


def check_size(path: Path, size: int, limit: int | None) -> None:
    """Raise a :class:`UserError` where ``size`` bytes are more than ``limit`` megabytes (None: any size will do)."""
    if limit is not None and size > limit * MEGABYTE:
        raise UserError(f"{path} has more than {limit} MB (for data files, size_limit in the task file raises that)")


def read_text(path: Path, limit: int) -> str:
    """A text file as it stands, without its byte order mark: UTF-8, or UTF-16 with that mark.

    Raises:
        UserError: if it can't be read, has more than ``limit`` megabytes, or has a line in another encoding.
    """
    check_file(path, limit)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror})") from error
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise UserError(f"{path} is not whole UTF-16: save the file as UTF-8") from error
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} line {line} is not UTF-8: save the file in that encoding") from error


def parse_json(text: str, place: str) -> Any:
    """A JSON value.

    Raises:
        UserError: if ``text`` is not JSON, or nested or with numbers so long that Python does not read them.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{place} is not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise UserError(f"{place} is nested too deeply to be read") from error
    except ValueError as error:  # what remains: int() takes no more digits
        raise UserError(f"{place} has a number with more digits than can be read") from error


def read_json(path: Path) -> Any:
    """The JSON value in a file of settings.

    Raises:
        UserError: what :func:`read_text` and :func:`parse_json` raise.
    """
    return parse_json(read_text(path, SMALL), os.fspath(path))
