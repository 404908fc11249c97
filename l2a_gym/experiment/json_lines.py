"""Files of records, one line of JSON each: mistakes are named by file and line, and no line is lost by appending."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from l2a_gym.cache import writing
from l2a_gym.errors import UserError

T = TypeVar("T")


def read_lines(file: Path, make: Callable[[Any], T], what: str) -> list[T]:
    """What the lines of a file hold; a last line that was cut off while it was written is left out.

    Args:
        file: in UTF-8; empty lines count for nothing.
        make: from the values of a line to what it stands for.
        what: the kind of record, for the sentence on a mistake.

    Raises:
        UserError: the file can't be read, or a line is no such record.
    """
    try:
        *lines, last = file.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not in UTF-8 ({error}): save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{file} can't be read ({error.strerror}): name a file of lines in JSON") from error
    if complete(last):
        lines.append(last)
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found += [make(parse(line))] if line.strip() else []
        except (ValueError, KeyError, TypeError, RecursionError, TypeCheckError) as error:
            reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
            raise UserError(f"{file}, line {number}, is no {what} ({reason})") from error
    return found


def parse(line: str) -> Any:
    """The values of a line of JSON.

    Raises:
        ValueError: it is none, or has a number that is not finite.
    """
    return json.loads(line, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no finite number")
    return value


def complete(line: str) -> bool:
    """Whether a line without a line break behind it is whole: of an object that was cut off, the bracket is missing."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def append(file: Path, line: str) -> None:
    """Add a line to a file, and wait until it is on the disk; the end of a line that was cut off goes first."""
    with writing(file), file.open("a+b") as opened:
        opened.seek(0)
        content = opened.read()
        last = content[content.rfind(b"\n") + 1 :]
        if complete(last.decode("utf-8", errors="replace")):
            opened.write(b"\n")
        else:
            opened.truncate(len(content) - len(last))
        opened.write(line.encode("utf-8") + b"\n")
        opened.flush()
        os.fsync(opened.fileno())


def checked(kind: type[T], values: Any) -> T:
    """A dataclass from values by field, whose types are checked.

    Raises:
        TypeError: values are missing, too many or of another type.
    """
    hints = get_type_hints(kind)
    made = kind(**values)
    for name, hint in hints.items():
        try:
            check_type(getattr(made, name), hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            raise TypeError(f"{name}: {error}") from error
    return made
