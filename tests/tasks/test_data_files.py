"""Data files as they should be, of every format, and the sentence for each mistake in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

Rows = list[dict[str, str]]


def test_csv_quotes_line_breaks_and_byte_order_mark(own: OwnTask) -> None:
    own.write("shop.csv", '\ufefftext,label\n"He said ""no"",\nand left",pos\n\n plain ,neg\n')
    assert own.rows("shop.csv") == [('He said "no",\nand left', "pos"), ("plain", "neg")]


def test_tsv_cells_stand_as_they_are(own: OwnTask) -> None:
    own.write("shop.tsv", 'label\ttext\npos\t"open quote, and a comma\nneg\tb "c"\n')
    assert own.rows("shop.tsv") == [('"open quote, and a comma', "pos"), ('b "c"', "neg")]


def test_jsonl_lines_end_at_line_feeds_only(own: OwnTask) -> None:
    rows = [{"text": "one\u2028two", "label": "pos"}, {"text": "three\x85four", "label": "neg"}]
    own.write("shop.jsonl", "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert own.rows("shop.jsonl") == [("one\u2028two", "pos"), ("three\x85four", "neg")]


def test_parquet_of_categories(own: OwnTask) -> None:
    """What pandas makes of a column of type category."""
    table = pa.table({"text": ["a", "b", "c"], "label": pa.array(["pos", "neg", None]).dictionary_encode()})
    pq.write_table(table, own.folder / "shop.parquet")
    assert own.rows("shop.parquet") == [("a", "pos"), ("b", "neg")]


def csv_bytes(line: bytes) -> bytes:
    """Three sound lines (the header among them), then the one that is wrong."""
    return b"text,label\na text,good\nanother,bad\n" + line


MISTAKES = {
    "no rows": ("x.csv", b"text,label\n", ["x.csv holds no texts"]),
    "empty": ("x.jsonl", b"", ["x.jsonl holds no texts"]),
    "too many cells": ("x.csv", csv_bytes(b"a,b,good\n"), ["x.csv line 4 has 3 cells", "header has 2"]),
    "too few cells": ("x.csv", csv_bytes(b"\nalone\n"), ["x.csv line 5 has 1 cells", "header has 2"]),
    "line after a long cell": ("x.csv", csv_bytes(b'"two\nlines",good\nalone\n'), ["x.csv line 6 has 1 cells"]),
    "open quote": ("x.csv", csv_bytes(b'"never closed,good\n'), ["x.csv line 4: unexpected end of data"]),
    "two columns of a name": ("x.csv", b"text,text,label\na,b,good\n", ["x.csv: 2 columns", "'text'"]),
    "empty text": ("x.csv", csv_bytes(b"  ,good\n"), ["x.csv line 4: the text is empty"]),
    "text that shows nothing": (
        "x.csv",
        csv_bytes("\u00ad\u200b,good\n".encode()),
        ["x.csv line 4: the text is empty"],
    ),
    "broken UTF-8": ("x.csv", csv_bytes(b"caf\xe9,good\n"), ["x.csv line 4 is not UTF-8"]),
    "broken UTF-8 after a mark": (
        "x.csv",
        b"\xef\xbb\xbf" + csv_bytes(b"caf\xe9,good\n"),
        ["x.csv line 4 is not UTF-8"],
    ),
    "suffix": ("x.json", b"[]", ["suffix of x.json '.json'", "mean '.jsonl'", ".parquet"]),
    "no suffix": ("x", b"text", ["suffix of x ''", ".csv"]),
    "not JSON": ("x.jsonl", b'{"text": "a", "label": 1}\n{"text": \n', ["x.jsonl line 2 is not JSON", "column"]),
    "no object": ("x.jsonl", b'{"text": "a", "label": 1}\n\n["a", 1]\n', ["x.jsonl line 3", "keys text, label"]),
    "key missing": (
        "x.jsonl",
        b'{"text": "a", "label": 1}\n{"txt": "a"}\n',
        ["column of x.jsonl line 2 'text'", "'txt'"],
    ),
    "text as number": ("x.jsonl", b'{"text": 3, "label": 1}\n', ["x.jsonl line 1: the text 3 is not a text"]),
    "label as fraction": (
        "x.jsonl",
        b'{"text": "a", "label": 0.5}\n',
        ["x.jsonl line 1: the label 0.5", "whole number"],
    ),
    "label as list": ("x.jsonl", b'{"text": "a", "label": [1]}\n', ["x.jsonl line 1: the label [1]", "class name"]),
    "no label": ("x.jsonl", b'{"text": "a", "label": null}\n', ["task.toml [domains]: no row of shop has a label"]),
    "not Parquet": ("x.parquet", b"text,label\n", ["x.parquet is not sound Parquet"]),
}


@pytest.mark.parametrize(("name", "content", "parts"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_the_data(own: OwnTask, name: str, content: bytes, parts: list[str]) -> None:
    own.write(name, content)
    message = own.message(name)
    assert [part for part in parts if part not in message] == [], message


def save_parquet(path: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def save_dataset(path: Path, rows: Rows) -> None:
    datasets.Dataset.from_list(rows).save_to_disk(str(path))


def save_splits(path: Path, rows: Rows) -> None:
    splits = {"train": datasets.Dataset.from_list(rows[:25]), "test": datasets.Dataset.from_list(rows[25:])}
    datasets.DatasetDict(splits).save_to_disk(str(path))


Save = Callable[[Path, Rows], None]


@pytest.mark.parametrize(
    ("name", "save", "place"),
    [
        ("x.parquet", save_parquet, "x.parquet row 31"),
        ("x", save_dataset, "x row 31"),
        ("x", save_splits, "x split test row 6"),
    ],
)
def test_row_of_a_binary_file_is_named(own: OwnTask, name: str, save: Save, place: str) -> None:
    rows = [{"text": f"a film {n}", "label": "pos"} for n in range(40)]
    rows[30]["text"] = ""
    save(own.folder / name, rows)
    assert own.message(name) == f"{place}: the text is empty"


@pytest.mark.parametrize(("name", "save"), [("x.parquet", save_parquet), ("x", save_dataset)])
def test_missing_column_of_a_binary_file(own: OwnTask, name: str, save: Save) -> None:
    save(own.folder / name, [{"sentence": "a", "labels": "pos"}])
    assert own.message(name) == f"unknown column of {name} 'text': valid are sentence, labels"


def test_folder_that_is_no_dataset(own: OwnTask) -> None:
    (own.folder / "x").mkdir()
    assert own.message("x") == "x is not a whole folder of Dataset.save_to_disk: there is no x/state.json"
