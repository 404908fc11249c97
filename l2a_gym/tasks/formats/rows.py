"""From the path of a data file or folder to its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from l2a_gym.errors import unknown
from l2a_gym.tasks.formats.disk import check_file
from l2a_gym.tasks.formats.json_lines import read_json_lines
from l2a_gym.tasks.formats.layout import Layout, Row
from l2a_gym.tasks.formats.parquet import read_parquet
from l2a_gym.tasks.formats.saved import read_saved
from l2a_gym.tasks.formats.separated import read_csv, read_tsv

READERS: dict[str, Callable[[Path, Layout], Iterator[Row]]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_json_lines,
    ".parquet": read_parquet,
}
"""Suffix -> how such a file is read."""


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """The rows of a CSV, TSV, JSONL or Parquet file, or of a folder that ``datasets`` saved.

    Lines of text files and rows of the others count from 1; blank lines, and rows of blank cells, are skipped.

    Raises:
        UserError: missing, unreadable, damaged or too large file, unknown suffix, or missing column.
    """
    if os.path.isdir(path):
        return read_saved(path, layout)
    check_file(path, layout.size_limit)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise unknown(f"suffix of {path}", path.suffix, READERS)
    return READERS[suffix](path, layout)
