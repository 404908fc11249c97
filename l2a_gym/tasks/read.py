"""From the rows of data files to texts with their labels as written, each with the place that an error names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from l2a_gym.errors import UserError, brief
from l2a_gym.tasks.formats.disk import ROW, check_size
from l2a_gym.tasks.formats.layout import Layout
from l2a_gym.tasks.formats.rows import read_rows
from l2a_gym.tasks.normal import normal_form
from l2a_gym.wording import CONTROL

MISSING = ("", "nan", "NaN")
"""Cells of text that stand for a missing value; pandas writes the last two where numbers were turned into text."""
LONGEST_LABEL = 200
"""Characters: what is longer comes from a column that holds something else."""
_HALF = re.compile("[\ud800-\udfff]")
_WHOLE = re.compile(r"(-?\d+)\.0*")


class Example(NamedTuple):
    """A text, or a pair of texts, with its label.

    Attributes:
        part: the file, or the split of a saved data set.
        position: the line or row in that part.
        label: as written there; None where the row has none, or where none is read.
        sides: the text or the two texts; empty where the row has no label though one is read.
        split: the cell of that column; empty where there is none.
        group: the normal form of the cell of that column; empty where there is none.
    """

    part: str
    position: str
    label: str | None
    sides: tuple[str, ...]
    split: str = ""
    group: str = ""

    @property
    def place(self) -> str:
        """What an error calls the row."""
        return f"{self.part} {self.position}"


def read_examples(path: Path, layout: Layout) -> Iterator[Example]:
    """The texts of a data file or folder.

    Raises:
        UserError: what :func:`~l2a_gym.tasks.formats.rows.read_rows` raises, no rows, rows that take more memory than
            the layout allows, or a row that doesn't fit.
    """
    size, example = 0, None
    columns = layout.columns
    for part, position, cells in read_rows(path, layout):
        size += ROW + sum(map(sys.getsizeof, cells.values()))
        check_size(path, size, layout.size_limit)
        place = f"{part} {position}"
        label = _label(place, columns.label, cells[columns.label]) if columns.label else None
        named = columns.sides if label is not None or not columns.label else ()
        sides = tuple(_text(place, name, cells[name]) for name in named)
        split, group = (_name(cells.get(name)) for name in (columns.split, columns.group))
        example = Example(part, position, label, sides, split, normal_form(group))
        yield example
    if example is None:
        raise UserError(f"{path} holds no texts")


def whole(label: str) -> str:
    """A whole number without its decimals (``1.0`` is ``1``); any other label stays as it is."""
    number = _WHOLE.fullmatch(label)
    return number[1] if number else label


def _label(place: str, column: str, cell: object) -> str | None:
    """The label as written, or None for a missing value: null, NaN, one of :data:`MISSING` or nothing visible."""
    if cell is None or cell != cell or (isinstance(cell, str) and (cell.strip() in MISSING or not normal_form(cell))):
        return None
    if not isinstance(cell, (str, int)) and not (isinstance(cell, float) and cell.is_integer()):
        raise UserError(f"{place}: the {column} {brief(cell)} is neither a class name nor a whole number")
    label = cell.strip() if isinstance(cell, str) else str(int(cell))
    if len(label) > LONGEST_LABEL:
        raise UserError(f"{place}: the {column} {brief(label)} has {len(label)} characters: do labels stand there?")
    if CONTROL.search(label):
        raise UserError(f"{place}: the {column} {label!r} has a control character or a line break")
    return label


def _name(cell: object) -> str:
    """The name of a split or of a group; empty for a missing value."""
    name = "" if cell is None or cell != cell else whole(str(cell).strip())
    return "" if name in MISSING else name


def _text(place: str, column: str, cell: object) -> str:
    if not isinstance(cell, str):
        raise UserError(f"{place}: the {column} {brief(cell)} is not a text")
    if not normal_form(cell):
        raise UserError(f"{place}: the {column} is empty")
    if half := _HALF.search(cell):
        raise UserError(f"{place}: the {column} has half of a character, {half[0]!r}: it was cut within an emoji")
    return cell.strip()
