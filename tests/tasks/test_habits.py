"""What people's programs make of CSV, TSV and JSON Lines: the right value, or a sentence that says what to do."""

from __future__ import annotations

import codecs
import csv
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

SHOP = [("a fine film", "pos"), ("a dull film", "neg")]


def test_semicolons_need_the_key_delimiter(own: OwnTask) -> None:
    own.write("shop.csv", 'text;label\n"a fine; long film";pos\na dull film;neg\n')
    own.write("visits.csv", "text;label\n" + "".join(f"visit {n};{('pos', 'neg')[n % 2]}\n" for n in range(20)))
    assert own.message("shop.csv") == (
        'shop.csv has ";" between its columns, not ",": '
        'set delimiter = ";" in the task file, or begin the file with a line like "sep=;"'
    )
    rows = own.rows("shop.csv", 'delimiter = ";"', clinic="visits.csv")
    assert rows == [("a fine; long film", "pos"), ("a dull film", "neg")]
    assert own.message("shop.csv", 'delimiter = ";"').startswith('clinic.csv has "," between its columns, not ";"')


@pytest.mark.parametrize("found", ["\t", "|", ";"])
def test_message_quotes_the_delimiter_as_toml_does(own: OwnTask, found: str) -> None:
    own.write("shop.csv", f"text{found}label\na, b{found}pos\n")
    assert f"set delimiter = {json.dumps(found)} in the task file" in own.message("shop.csv")


def test_tsv_with_commas(own: OwnTask) -> None:
    own.csv("shop.tsv", SHOP)
    assert own.message("shop.tsv") == (
        'shop.tsv has "," between its columns, not "\\t": '
        'set delimiter = "," in the task file, and end the file\'s name in .csv'
    )


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_first_line_that_names_the_delimiter(own: OwnTask, first: str) -> None:
    own.write("shop.csv", f"\ufeff{first}text;label\na, b;pos\nalone\n")
    assert own.message("shop.csv") == "shop.csv line 4 has 1 cells where the header has 2"
    own.write("shop.csv", f"{first}text;label\na, b;pos\n")
    assert own.rows("shop.csv") == [("a, b", "pos")]


def test_rows_of_delimiters_are_blank(own: OwnTask) -> None:
    own.write("shop.csv", ",\ntext,label\na fine film,pos\n,\n , \na dull film,neg\n,\n")
    assert own.rows("shop.csv") == SHOP


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\\n"])
def test_delimiter_is_one_character(own: OwnTask, delimiter: str) -> None:
    message = own.message("shop.csv", f"delimiter = '''{delimiter}'''")
    assert message.startswith("task.toml: delimiter = ")
    assert 'is not one character between cells, like ";"' in message


def test_quote_that_is_escaped_by_a_backslash(own: OwnTask) -> None:
    own.write("shop.csv", 'text,label\n"she said \\"no\\" and left",neg\n')
    assert own.message("shop.csv") == (
        "shop.csv line 2: ',' expected after '\"': a \" within a quoted cell is written \"\""
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("name", ["shop.csv", "shop.jsonl"])
def test_marked_utf16_is_read_like_utf8(own: OwnTask, name: str, encoding: str) -> None:
    rows = [("naïve \U0001f600", "pos"), ("a dull film", "neg")]
    as_json = "\r\n".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows)
    as_csv = "text,label\r\n" + "\r\n".join(",".join(row) for row in rows)
    own.write(name, (as_csv if name.endswith("csv") else as_json).encode(encoding))
    assert own.rows(name) == rows


def test_broken_utf16(own: OwnTask) -> None:
    own.write("shop.csv", codecs.BOM_UTF16_LE + "text,label\n".encode("utf-16-le") + b"\x00\xd8")
    assert own.message("shop.csv") == "shop.csv is not whole UTF-16: save the file as UTF-8"


@pytest.mark.parametrize(("name", "between"), [("shop.csv", ","), ("shop.tsv", "\t")])
def test_cell_of_any_length(own: OwnTask, name: str, between: str) -> None:
    long = "word " * 40_000 + "end"
    own.write(name, f"text{between}label\n{long}{between}pos\nshort{between}neg\n")
    csv.field_size_limit(131_072)
    assert own.rows(name) == [(long, "pos"), ("short", "neg")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"text": "glad I went \\ud83d", "label": "pos"}', "the text has half of a character, '\\ud83d'"),
        ('{"text": "\\ude00 so glad", "label": "pos"}', "the text has half of a character, '\\ude00'"),
        ('{"text": "glad", "label": "p\\ud83d"}', "the label 'p\\ud83d' has a control character"),
        ('{"text": "a", "label": "pos", "id": ' + "7" * 4301 + "}", "has a number with more digits than can be read"),
        ('{"text": "a", "label": "pos", "id": ' + "[" * 99_999 + "}", "is nested too deeply to be read"),
        ('{"text": "a", "label": 1e400}', "the label inf is neither a class name nor a whole number"),
    ],
)
def test_json_that_python_reads_too_well_or_not_at_all(own: OwnTask, row: str, message: str) -> None:
    own.write("shop.jsonl", '{"text": "a whole \\ud83d\\ude00", "label": "neg"}\n' + row + "\n")
    assert f"shop.jsonl line 2{':' if message.startswith('the') else ''} {message}" in own.message("shop.jsonl")


@pytest.mark.parametrize("path", ['"C:\\Users\\me\\shop.csv"', '"C:\\data\\shop.csv"', '"C:\\new\\shop.csv"'])
def test_windows_path_in_double_quotes(own: OwnTask, path: str) -> None:
    message = own.message_of(f"target = 'clinic'\nshots = 4\n[domains]\nclinic = 'clinic.csv'\nshop = {path}\n")
    assert message.startswith("task.toml ")
    assert message.endswith("write a Windows path in single quotes, in which a backslash is a backslash")


def test_windows_path_in_single_quotes_is_taken_as_it_stands(own: OwnTask) -> None:
    own.csv("new\\shop.csv", SHOP)
    assert own.rows("new\\shop.csv") == SHOP
