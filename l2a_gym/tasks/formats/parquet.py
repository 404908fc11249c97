"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from l2a_gym.tasks.formats.arrow import CHUNK, damage_named, table_rows
from l2a_gym.tasks.formats.disk import ROW, check_file, check_size
from l2a_gym.tasks.formats.layout import Layout, Row, check_columns

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def read_parquet(path: Path, layout: Layout) -> Iterator[Row]:
    """The rows of a file; a class number gets its name where the file's metadata hold it."""
    check_file(path, layout.size_limit)
    with damage_named(path, "sound Parquet"):
        yield from table_rows(str(path), _batches(path, layout))


def _batches(path: Path, layout: Layout) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = check_columns(str(path), layout.required, file.schema_arrow.names, layout.optional)
        check_size(path, _unpacked(file.metadata, columns), layout.size_limit)
        for batch in file.iter_batches(CHUNK, columns=columns):
            batch.validate(full=True)
            yield batch


def _unpacked(metadata: pq.FileMetaData, columns: Sequence[str]) -> int:
    """Bytes that the rows take at least, without compression; a tiny file can hold very many."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    cells = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns)
    return metadata.num_rows * ROW + cells
