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
        cells: one per wanted column, the label's last.
    """

    part: str
    position: str
    cells: tuple[object, ...]


@dataclass(frozen=True)
class Columns:
    """The data columns of the text, of the second text (empty: the task is about single texts) and of the label."""

    text: str = "text"
    pair: str = ""
    label: str = "label"

    @property
    def names(self) -> list[str]:
        """The column names, the label's last."""
        return [self.text, *([self.pair] if self.pair else []), self.label]


@dataclass(frozen=True)
class Layout:
    """How data files are to be read.

    Attributes:
        columns: which columns.
        delimiter: one character between the cells of a CSV file.
        size_limit: megabytes that one file may have, and that the wanted cells of a file or folder may take in memory.
    """

    columns: Columns = Columns()
    delimiter: str = ","
    size_limit: int = 1000


def check_columns(place: str, wanted: Sequence[str], names: Iterable[str]) -> None:
    """Raise a :class:`UserError` unless every wanted column is there exactly once."""
    names = list(names)
    for column in wanted:
        if column not in names:
            raise unknown(f"column of {place}", column, names)
        if names.count(column) > 1:
            raise UserError(f"{place}: {names.count(column)} columns are called {column!r}")
