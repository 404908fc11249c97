"""JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from l2a_gym.errors import UserError
from l2a_gym.tasks.formats.disk import parse_json, read_text
from l2a_gym.tasks.formats.layout import Layout, Row, check_columns


def read_json_lines(path: Path, layout: Layout) -> Iterator[Row]:
    """Objects, one a line; lines end at line feeds alone, and blank ones are skipped."""
    for number, line in enumerate(read_text(path, layout.size_limit).split("\n"), start=1):
        place = f"{path} line {number}"
        if not line.strip():
            continue
        row = parse_json(line, place)
        if not isinstance(row, dict):
            raise UserError(f"{place} is not a JSON object with the keys {', '.join(layout.required)}")
        columns = check_columns(place, layout.required, row, layout.optional)
        yield Row(str(path), f"line {number}", {column: row[column] for column in columns})
