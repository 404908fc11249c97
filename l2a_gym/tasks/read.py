"""From a data file or folder to labelled texts, each with the place (file and line or row) that an error names."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2a_gym.errors import UserError, unknown
from l2a_gym.tasks.normal import normal_form

Example = tuple[str, str, tuple[str, ...]]
"""The place of a row in its file, the label as written there, and the text or the pair of texts."""

Row = tuple[str, tuple[object, ...]]
"""The place, and the cells of the wanted columns in the order they were asked for."""


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


def read_examples(path: Path, columns: Columns) -> list[Example]:
    """The labelled texts of a CSV, TSV, JSONL or Parquet file, or of a folder that ``datasets`` saved.

    Lines of text files and rows of the others count from 1; blank lines are skipped.

    Raises:
        UserError: missing, unreadable or empty file, unknown suffix, missing column, or a row that doesn't fit.
    """
    examples = []
    for place, (*sides, label) in _rows(path, columns.names):
        for name, side in zip(columns.names, sides, strict=False):
            if not isinstance(side, str):
                raise UserError(f"{place}: the {name} {side!r} is not a text")
            if not normal_form(side):
                raise UserError(f"{place}: the {name} is empty")
        if not isinstance(label, (str, int)) or not normal_form(str(label)):
            raise UserError(f"{place}: the {columns.label} {label!r} is neither a class name nor a whole number")
        written = label.strip() if isinstance(label, str) else str(int(label))
        examples.append((place, written, tuple(str(side).strip() for side in sides)))
    if not examples:
        raise UserError(f"{path} holds no texts")
    return examples


def read_utf8(path: Path) -> str:
    """A text file as it stands, without its byte order mark.

    Raises:
        UserError: if it can't be read, or a line of it isn't UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} line {line} is not UTF-8: save the file in that encoding") from error


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    if not path.exists():
        raise _missing(path)
    if path.is_dir():
        return _saved_dataset(path, columns)
    if path.suffix.lower() not in _READERS:
        raise unknown(f"suffix of {path}", path.suffix, _READERS)
    return _READERS[path.suffix.lower()](path, columns)


def _missing(path: Path) -> UserError:
    """Build the error for a path that leads nowhere; it names a neighbour with a similar name."""
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*")], n=1)
    return UserError(f"there is no {path}" + (f": did you mean {near[0]!r}?" if near else ""))


def _wanted(place: object, columns: Sequence[str], names: Iterable[str]) -> None:
    names = list(names)
    for column in columns:
        if column not in names:
            raise unknown(f"column of {place}", column, names)
        if names.count(column) > 1:
            raise UserError(f"{place}: {names.count(column)} columns are called {column!r}")


def _separated(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    file = io.StringIO(read_utf8(path), newline="")
    tabs = path.suffix.lower() == ".tsv"
    reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(file, strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            place, line = f"{path} line {line}", reader.line_num + 1
            if cells and not header:
                header = cells
                _wanted(path, columns, header)
            elif cells:
                if len(cells) != len(header):
                    raise UserError(f"{place} has {len(cells)} cells where the header has {len(header)}")
                yield place, tuple(cells[header.index(column)] for column in columns)
    except csv.Error as error:
        raise UserError(f"{path} line {line}: {error}") from error


def _json_lines(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(read_utf8(path).split("\n"), start=1):
        place = f"{path} line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{place} is not JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(row, dict):
            raise UserError(f"{place} is not a JSON object with the keys {', '.join(columns)}")
        _wanted(place, columns, row)
        yield place, tuple(row[column] for column in columns)


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _wanted(path, columns, file.schema_arrow.names)
            table = file.read(columns=list(columns))
        table.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is not sound Parquet: {_first_line(error)}") from error
    for number, cells in enumerate(zip(*(table[column].to_pylist() for column in columns), strict=True), start=1):
        yield f"{path} row {number}", cells


def _saved_dataset(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    import datasets
    import pyarrow as pa

    try:
        saved = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} is not a whole folder of Dataset.save_to_disk: {_first_line(error)}") from error
    splits = saved if isinstance(saved, datasets.DatasetDict) else {None: saved}
    for name, split in splits.items():
        place = f"{path} split {name}" if name else str(path)
        _wanted(place, columns, split.column_names)
        rows = split.with_format(None).select_columns(list(columns))
        for number, row in enumerate(rows, start=1):
            yield f"{place} row {number}", tuple(row[column] for column in columns)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
    ".csv": _separated,
    ".tsv": _separated,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
