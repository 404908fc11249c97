"""Stages of a run that leave a JSON file: done once, and again where it is damaged or what it was made from changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from l2a_gym.cache import hashes, sha256_of
from l2a_gym.checked import read_json, write_json

log = logging.getLogger(__name__)

MADE_FROM = "made_from"
"""The key of what a stage's values were made from."""


def stage(
    file: Path,
    made_from: str,
    make: Callable[[], dict[str, Any]],
    stands: Callable[[dict[str, Any]], bool] | None = None,
) -> dict[str, Any]:
    """What ``file`` holds, after making it where it is missing, damaged or out of date.

    Args:
        file: the stage's.
        made_from: a hash of all that the values follow from.
        make: gives the values, for JSON.
        stands: whether what else ``make`` left, by its values, is as it was.
    """
    values = read_json(file)
    if values is None and file.exists():
        log.warning("%s is damaged: making it again", file)
    if values is None or values.pop(MADE_FROM, "") != made_from or (stands and not stands(values)):
        values = make()
        write_json(file, {**values, MADE_FROM: made_from})
    return values


def written_once(files: Sequence[Path], record: Path, made_from: str, make: Callable[[], None]) -> None:
    """Let ``make`` write files unless they stand as it wrote them.

    Args:
        files: what it writes, in one folder.
        record: the JSON file that keeps their hashes.
        made_from: a hash of all that they follow from.
        make: writes them.
    """

    def found() -> dict[str, str]:
        return {file.name: sha256_of(file) for file in files if file.is_file()}

    def made() -> dict[str, Any]:
        make()
        return {"files": found()}

    def stand(values: dict[str, Any]) -> bool:
        there, written = found(), values["files"]
        for file in files:
            sha = there.get(file.name)
            if sha and sha != written.get(file.name, sha):
                log.warning("%s is damaged: making it again", file)
        return len(there) == len(files) and there.items() <= written.items()

    stage(record, made_from, made, stand)


def undamaged(folder: Path, files: dict[str, str]) -> bool:
    """Whether a folder has these files, name -> SHA-256; a warning says that it hasn't."""
    found = hashes(folder)
    lost = [name for name, sha in files.items() if found.get(name) != sha]
    if lost:
        log.warning("%s is damaged (%s): making it again", folder, ", ".join(lost))
    return not lost
