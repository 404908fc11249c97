"""Folders of ``Dataset.save_to_disk`` and ``DatasetDict.save_to_disk``.

The ``datasets`` library maps their files into memory and trusts them, so that a damaged one kills the process. Here
they are read and checked like every other file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2a_gym.errors import UserError
from l2a_gym.tasks.formats.arrow import FEATURES, damage_named, table_rows
from l2a_gym.tasks.formats.disk import ROW, check_file, check_size, read_json
from l2a_gym.tasks.formats.layout import Layout, Row, check_columns

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = ""
"""The split of a data set that was saved without splits."""


def read_saved(folder: Path, layout: Layout) -> Iterator[Row]:
    """The rows of all splits, one after the other; class numbers get their names."""
    for split in split_names(folder):
        part = f"{folder} split {split}" if split else str(folder)
        tables = split_tables(
            folder, split, layout.required, place=part, limit=layout.size_limit, optional=layout.optional
        )
        with damage_named(folder, "a sound folder of Dataset.save_to_disk"):
            yield from table_rows(part, tables)


def split_names(folder: Path) -> list[str]:
    """The splits of a saved data set: :data:`WHOLE` alone where it was saved without.

    Raises:
        UserError: the file that names them is damaged.
    """
    listing = folder / "dataset_dict.json"
    if not os.path.lexists(listing):
        return [WHOLE]
    splits = read_json(listing)
    names = splits.get("splits") if isinstance(splits, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{listing} names no splits")
    return names


def split_tables(
    folder: Path,
    split: str,
    columns: Sequence[str],
    *,
    place: str,
    limit: int | None,
    optional: Sequence[str] = (),
) -> Iterator[pa.Table]:
    """The tables of one split, checked in full, with the wanted columns and the folder's description of them.

    Args:
        folder: the saved data set.
        split: a name out of :func:`split_names`.
        columns: which columns are wanted.
        place: what errors call the split.
        limit: megabytes that one file of it may have; None: any size.
        optional: more columns, which may be missing.

    Raises:
        UserError: files are missing, damaged or too large, or a column is missing.
    """
    files, described = _parts(folder, split)
    for file in files:
        check_file(file, limit)
        with damage_named(file, "a sound file of Dataset.save_to_disk"):
            table = _table(file, columns, optional, place)
        check_size(file, table.num_rows * ROW, limit)
        yield table.replace_schema_metadata(described) if described else table


def _table(file: Path, required: Sequence[str], optional: Sequence[str], place: str) -> pa.Table:
    import pyarrow as pa

    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as stream:
        columns = check_columns(place, required, stream.schema.names, optional)
        table = stream.read_all().select(columns)
    table.validate(full=True)
    return table


def _parts(folder: Path, split: str) -> tuple[list[Path], dict[bytes, str]]:
    """The files of a split, and the schema metadata that describe its columns as the folder does, if it does."""
    home = folder / split
    try:
        state: Any = read_json(home / "state.json")
        info: Any = read_json(home / "dataset_info.json")
        files = [home / entry["filename"] for entry in state["_data_files"]]
        described = {FEATURES: json.dumps({"info": info})} if info["features"] else {}
    except (UserError, KeyError, TypeError) as error:
        reason = error if isinstance(error, UserError) else "its JSON doesn't name files and columns"
        raise UserError(f"{home} is not a whole folder of Dataset.save_to_disk: {reason}") from error
    return files, described
