"""Splits that a column of the target's files names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from l2a_gym.errors import UserError, unknown
from l2a_gym.tasks.read import Example
from l2a_gym.tasks.task import part_name

TRAIN = "train"
WORDS = {TRAIN: TRAIN, "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev", "test": "test"}
"""What may stand in the column, in any case, and the split that it means."""


def by_split(where: str, target: str, rows: Iterable[Example], taken: Mapping[str, object]) -> dict[str, list[Example]]:
    """The target's rows of the split train by its own name, and the others by :func:`part_name`.

    Args:
        where: the task file.
        target: the target domain's name.
        rows: of the target.
        taken: the names of the parts that have files of their own.

    Raises:
        UserError: a word that names no split, a split that has a file of its own, or no row of train.
    """
    parts: dict[str, list[Example]] = {target: []}
    for row in rows:
        word = row.split.casefold()
        if word not in WORDS:
            raise unknown(f"split at {row.place}", row.split, WORDS)
        name = target if WORDS[word] == TRAIN else part_name(target, WORDS[word])
        if name in taken:
            raise UserError(
                f"{row.place} is of the split {word}, and {where} names a file for it: give only one of them"
            )
        parts.setdefault(name, []).append(row)
    if not parts[target]:
        raise UserError(f"{where}: no row of {target} is of the split {TRAIN}")
    return parts
