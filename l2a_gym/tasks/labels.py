"""From labels as they are written in data files to the classes of a task."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from l2a_gym.errors import UserError, unknown
from l2a_gym.tasks.read import Example, whole
from l2a_gym.tasks.task import UNLABELLED, Texts
from l2a_gym.wording import printable

log = logging.getLogger(__name__)

CLASSES = (2, 200)
"""How few and how many classes a task may have."""
NO_LABEL = "-1"
"""What stands for a missing label where classes are numbers."""
_SORTABLE = 18
"""Digits of a number that is sorted by its value."""


def labelled(where: str, domain: str, examples: Iterable[Example], given: Sequence[str]) -> list[Example]:
    """The examples that have a label; one line of the log tells how many of which file or split have none.

    Args:
        where: the task file.
        domain: whose examples these are.
        examples: all of the domain's.
        given: the class names of the task file, if it has any; without them -1 may well be a class.

    Raises:
        UserError: none has a label.
    """
    hidden = NO_LABEL if given and NO_LABEL not in map(whole, given) else None
    kept, rows, without = [], Counter[str](), Counter[str]()
    for example in examples:
        rows[example.part] += 1
        if example.label is None or whole(example.label) == hidden:
            without[example.part] += 1
        else:
            kept.append(example)
    for part, number in without.items():
        log.warning(printable(f"{part}: {number} of {rows[part]} rows have no label and are left out"))
    if not kept:
        raise UserError(f"{where} [domains]: no row of {domain} has a label")
    return kept


def class_names(where: str, given: Sequence[str], examples: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
    """The classes of a task: those of its file, or the distinct labels of its data in order.

    Raises:
        UserError: too few or too many, or a label -1 of which nothing tells whether it is a class.
    """
    names = tuple(given) or _found(where, examples)
    if not CLASSES[0] <= len(names) <= CLASSES[1]:
        source = "labels" if given else "the data"
        some = ", ".join(names[:3])
        raise UserError(f"{where}: {source} has {len(names)} classes ({some}, ...): valid are 2 to 200")
    return names


def _found(where: str, examples: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
    places: dict[str, str] = {}
    for rows in examples.values():
        for row in rows:
            places.setdefault(whole(row.label or ""), row.place)
    numbers = all(label.removeprefix("-").isdecimal() and len(label) <= _SORTABLE for label in places)
    names = tuple(sorted(places, key=int if numbers else str))
    if NO_LABEL in names and len(names) > CLASSES[0]:
        others = json.dumps([name for name in names if name != NO_LABEL], ensure_ascii=False)
        raise UserError(
            f"{where}: the label -1 at {places[NO_LABEL]} can be a class or mean that there is none: "
            f'write labels = {others} to leave such rows out, or add "-1" to keep them'
        )
    return names


def texts_of(examples: Sequence[Example], labels: tuple[str, ...], *, pairs: bool) -> Texts:
    """A domain's texts with class numbers.

    A label is a class name; where no name is a whole number, it can be a class's position, too. A text without a label
    gets :data:`~l2a_gym.tasks.task.UNLABELLED`.

    Raises:
        UserError: a label is neither.
    """
    codes = {whole(name): code for code, name in enumerate(labels)} | {name: code for code, name in enumerate(labels)}
    positions = not any(_is_number(name) for name in codes)
    if positions:
        codes |= {str(code): code for code in range(len(labels))}
    label = []
    for example in examples:
        if example.label is None:
            label.append(UNLABELLED)
            continue
        written = example.label
        code = codes.get(written, codes.get(whole(written)))
        if code is None and positions and _is_number(whole(written)):
            valid = f"positions count from 0, so valid are 0 to {len(labels) - 1}, or {', '.join(labels)}"
            raise UserError(f"unknown label at {example.place} {written!r}: {valid}")
        if code is None:
            raise unknown(f"label at {example.place}", written, labels)
        label.append(code)
    text, *pair = zip(*(example.sides for example in examples), strict=True)
    group = tuple(example.group for example in examples)
    return Texts(
        text=text,
        label=np.array(label, dtype=np.int64),
        pair=pair[0] if pairs else None,
        group=group if any(group) else None,
        origin=tuple(example.place for example in examples),
    )


def _is_number(label: str) -> bool:
    return label.removeprefix("-").isdecimal()
