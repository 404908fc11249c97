"""Task files and data files with random damage: a task or one sentence, never anything else."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.files import make
from l2a_gym.wording import CONTROL

ROUNDS = 46
"""Damages of each file: 11 files make 506."""
TOML = """target = "clinic"
shots = 4
labels = ["neg", "pos"]
noise = 0.25
seed = 3
source_limit = 1000
max_length = 64
delimiter = ","
size_limit = 10
[domains]
clinic = "clinic.csv"
shop = ["%s"]
[columns]
text = "text"
label = "label"
[budget]
steps = 3
candidates = 64
updates = 2
"""
PIECES = [
    *(
        b"\x00",
        b"\xff",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1b[31m",
        b"\r",
        b"\n",
        b"\xe2\x80\xa8",
        b"\\ud83d",
        b"\\u0000",
    ),
    *(b'"', b"'", b'"""', b",", b";", b"\t", b"=", b"[", b"]", b"{", b"}", b"\\", b"sep=;\n", b"#", b".", b"..", b"/"),
    *(b"-1", b"0", b"1.0", b"1e999", b"NaN", b"null", b"true", b"9" * 5000, b"[" * 5000, b"a." * 3000, b"1979-05-27"),
    *(b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff\xff\xff", b"text", b"label", b"shop", b"pos"),
]
"""What breaks readers of text, of numbers and of tables."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task whose source has a file of each kind."""

    def rows(name: str) -> list[dict[str, str]]:
        return [{"text": f"{name} {n} é", "label": ("pos", "neg")[n % 2]} for n in range(12)]

    def separated(name: str, between: str) -> str:
        return f"text{between}label\n" + "".join(f"{row['text']}{between}{row['label']}\n" for row in rows(name))

    (tmp_path / "clinic.csv").write_text(separated("visit", ","), encoding="utf-8")
    (tmp_path / "shop.csv").write_text(separated("film", ","), encoding="utf-8")
    (tmp_path / "shop.tsv").write_text(separated("book", "\t"), encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in rows("song"))
    (tmp_path / "shop.jsonl").write_text(lines, encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows("phone")), tmp_path / "shop.parquet")
    saved = datasets.Dataset.from_list(rows("meal")).class_encode_column("label")
    saved.save_to_disk(str(tmp_path / "shop"))
    datasets.DatasetDict({"train": saved.select(range(6))}).save_to_disk(str(tmp_path / "split"))
    return tmp_path


SOURCES = {
    "task.toml": "shop.csv",
    "clinic.csv": "shop.csv",
    **{name: name for name in ("shop.csv", "shop.tsv", "shop.jsonl", "shop.parquet")},
    **{f"shop/{name}": "shop" for name in ("data-00000-of-00001.arrow", "state.json", "dataset_info.json")},
    **{f"split/{name}": "split" for name in ("dataset_dict.json", "train/data-00000-of-00001.arrow")},
}
"""File to damage -> the source of the task that reads it."""


def test_random_damage_is_a_task_or_one_sentence(folder: Path) -> None:
    rng = random.Random(0)
    outcomes: Counter[str] = Counter()
    for name, source in SOURCES.items():
        (folder / "task.toml").write_text(TOML % source, encoding="utf-8")
        assert outcome(folder) == "task"
        whole = (folder / name).read_bytes()
        for _ in range(ROUNDS):
            (folder / name).write_bytes(damaged(whole, rng))
            outcomes[outcome(folder)] += 1
        (folder / name).write_bytes(whole)
    assert outcomes.total() == ROUNDS * len(SOURCES) >= 500
    assert set(outcomes) == {"task", "sentence"}
    assert min(outcomes.values()) > 50


def outcome(folder: Path) -> str:
    try:
        make(str(folder / "task.toml"))
    except UserError as error:
        return "a terminal's orders" if CONTROL.search(str(error)) else "sentence"
    return "task"


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """The file after one or two random damages."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 2)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.randint(1, 12))
        kind = rng.randrange(6)
        if kind == 0 and start < len(data):
            data[start] = rng.randrange(256)
        elif kind == 1:
            data[start:start] = rng.choice(PIECES)
        elif kind == 2:
            data[start:end] = rng.choice(PIECES)
        elif kind == 3:
            del data[start:end]
        elif kind == 4:
            data[start:start] = data[start:end]
        else:
            del data[rng.randrange(len(data) // 2, len(data) + 1) :]
    return bytes(data)
