"""Data frames as files, in the format that the file's suffix names."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from l2a_gym.cache import write_bytes

if TYPE_CHECKING:
    import pandas as pd

WRITERS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    ".parquet": lambda frame: frame.to_parquet(index=False),
    # Texts stand in quotes, because a bare carriage return within one would end the row.
    ".csv": lambda frame: frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode(),
    ".jsonl": lambda frame: frame.to_json(orient="records", lines=True, force_ascii=False).encode(),
}
"""Suffix -> the content of such a file."""


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a file beside ``path``, whose suffix is one of :data:`WRITERS`, and rename it there.

    Raises:
        UserError: the disk is full or read-only.
    """
    write_bytes(path, WRITERS[path.suffix](frame))
