"""CSV and TSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

from l2a_gym.errors import UserError
from l2a_gym.tasks.formats.disk import read_text
from l2a_gym.tasks.formats.layout import Layout, Row, check_columns

_DELIMITERS = ",;\t|"
"""What people put between cells; looked for where a header seems to have one cell alone."""
_DECLARED = re.compile(r'"?sep=([^"\r\n])"?\r?\n', re.IGNORECASE)
"""A first line with which Excel is told the delimiter."""


def read_csv(path: Path, layout: Layout) -> Iterator[Row]:
    """Rows of cells that may be quoted with ``"``; a first line ``sep=;`` goes before the layout's delimiter."""
    text = read_text(path, layout.size_limit)
    declared = _DECLARED.match(text)
    if declared:
        return _rows(path, layout, text, declared.end(), declared[1], quoted=True)
    return _rows(path, layout, text, 0, layout.delimiter, quoted=True)


def read_tsv(path: Path, layout: Layout) -> Iterator[Row]:
    """Rows of cells between tabs; nothing is quoted."""
    return _rows(path, layout, read_text(path, layout.size_limit), 0, "\t", quoted=False)


def _rows(path: Path, layout: Layout, text: str, start: int, delimiter: str, *, quoted: bool) -> Iterator[Row]:
    header: list[str] = []
    columns: dict[str, int] = {}
    line = first = 1 + text.count("\n", 0, start)
    file = io.StringIO(text[start:], newline="")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # csv's own limit of a cell is 131,072 characters
    reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True)
    try:
        for cells in reader:
            position, line = f"line {line}", first + reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = cells
                _check_delimiter(path, header, delimiter, quoted)
                present = check_columns(str(path), layout.required, header, layout.optional)
                columns = {name: header.index(name) for name in present}
            elif len(cells) != len(header):
                raise UserError(f"{path} {position} has {len(cells)} cells where the header has {len(header)}")
            else:
                yield Row(str(path), position, {name: cells[i] for name, i in columns.items()})
    except csv.Error as error:
        hint = ': a " within a quoted cell is written ""' if "expected after" in str(error) else ""
        raise UserError(f"{path} line {line}: {error}{hint}") from error


def _check_delimiter(path: Path, header: list[str], delimiter: str, quoted: bool) -> None:
    """Raise a :class:`UserError` where the header is one cell that another delimiter would part."""
    found = [other for other in _DELIMITERS if other != delimiter and other in header[0]]
    if len(header) == 1 and found:
        other = json.dumps(max(found, key=header[0].count))
        advice = 'or begin the file with a line like "sep=;"' if quoted else "and end the file's name in .csv"
        raise UserError(
            f"{path} has {other} between its columns, not {json.dumps(delimiter)}: "
            f"set delimiter = {other} in the task file, {advice}"
        )
