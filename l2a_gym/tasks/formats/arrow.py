"""Arrow tables, as Parquet files and saved data sets hold them: checked in full, with class names for class numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from l2a_gym.errors import UserError, brief
from l2a_gym.tasks.formats.disk import parse_json
from l2a_gym.tasks.formats.layout import Row

if TYPE_CHECKING:
    import pyarrow as pa

FEATURES = b"huggingface"
"""Key of a schema's metadata under which the ``datasets`` library describes the columns."""
NO_LABEL = -1
"""What a column of classes holds where a row's class is not known, as in the test splits of public benchmarks."""
CHUNK = 1000
"""Rows that become Python objects at a time."""


def table_rows(part: str, tables: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[Row]:
    """The rows of one file or split, from its checked tables in their order; rows count from 1."""
    number = count(1)
    for table in tables:
        names = {column: class_names(part, table.schema, column) for column in table.schema.names}
        for start in range(0, table.num_rows, CHUNK):
            for row in table.slice(start, CHUNK).to_pylist():
                place = f"{part} {(position := f'row {next(number)}')}"
                cells = {column: class_name(place, cell, names[column]) for column, cell in row.items()}
                yield Row(part, position, cells)


def class_names(place: str, schema: pa.Schema, column: str) -> Sequence[str]:
    """The names of the classes whose numbers a column holds; none where it is not a ``ClassLabel``.

    Raises:
        UserError: the schema's metadata can't be read, so that nothing tells names from numbers.
    """
    metadata = (schema.metadata or {}).get(FEATURES)
    if metadata is None:
        return []
    described = parse_json(metadata.decode(errors="replace"), f"{place} metadata {FEATURES.decode()!r}")
    for key in ("info", "features", column, "names"):
        described = described.get(key) if isinstance(described, dict) else None
    if described is None:
        return []
    if not isinstance(described, list) or not all(isinstance(name, str) for name in described):
        raise UserError(f"{place}: the class names of column {column!r} are {brief(described)}, not a list of names")
    return described


def class_name(place: str, value: object, names: Sequence[str]) -> object:
    """The name of a class number, None for :data:`NO_LABEL`; any other cell stays as it is.

    Raises:
        UserError: a number that no class has.
    """
    if not names or not isinstance(value, (int, float)) or value != value:
        return value
    if value == NO_LABEL:
        return None
    if value not in range(len(names)):
        raise UserError(f"{place}: there is no class {value}: classes are 0 to {len(names) - 1} ({', '.join(names)})")
    return names[int(value)]


@contextmanager
def damage_named(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever pyarrow says of a damaged file into a :class:`UserError` that names it."""
    import pyarrow as pa

    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, ArithmeticError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is not {kind}: {reason}") from error
