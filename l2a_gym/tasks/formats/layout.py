"""What a task file says about its data files, and the rows that every format gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from l2a_gym.errors import UserError, unknown


class Row(NamedTuple):
    """The wanted cells of one row.

    Attributes:
        part: the file, or the split of a saved data set.
        position: the line or row in that part, e.g. ``"line 3"``.
        cells: column -> cell, for the wanted columns that are there.
    """

    part: str
    position: str
    cells: dict[str, object]


@dataclass(frozen=True)
class Columns:
    """Which columns of the data are read; an empty name: none.

    Attributes:
        text: of the text.
        pair: of the second text; empty: the task is about single texts.
        label: of the label.
        split: of the split that a row of the target belongs to.
        group: of what several rows have in common, such as their author; one of the others can serve.
    """

    text: str = "text"
    pair: str = ""
    label: str = "label"
    split: str = ""
    group: str = ""

    @property
    def sides(self) -> list[str]:
        """The columns of the text, or of both texts."""
        return [name for name in (self.text, self.pair) if name]

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys(filter(None, (*self.sides, self.label, self.split, self.group))))


@dataclass(frozen=True)
class Layout:
    """How data files are to be read.

    Attributes:
        columns: which columns.
        delimiter: one character between the cells of a CSV file.
        size_limit: megabytes that one file may have, and that the wanted cells of a file or folder may take in memory.
        optional: those of the columns that a file may lack.
    """

    columns: Columns = Columns()
    delimiter: str = ","
    size_limit: int = 1000
    optional: tuple[str, ...] = ()

    @property
    def required(self) -> list[str]:
        """The columns that a file must have."""
        return [name for name in self.columns.names if name not in self.optional]


def check_columns(place: str, required: Sequence[str], names: Iterable[str], optional: Sequence[str] = ()) -> list[str]:
    """The required columns, and the optional ones that are there.

    Raises:
        UserError: a required one is missing, or one of them is there more than once.
    """
    names = list(names)
    present = [*required, *(column for column in optional if column in names)]
    for column in present:
        if column not in names:
            raise unknown(f"column of {place}", column, names)
        if names.count(column) > 1:
            raise UserError(f"{place}: {names.count(column)} columns are called {column!r}")
    return present
