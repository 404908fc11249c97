"""Damaged, endless and bursting data files: one sentence, and a process that goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2a_gym.tasks.formats.disk import MEGABYTE

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

LIMIT = "has more than 1 MB (for data files, size_limit in the task file raises that)"


@pytest.fixture
def shop(own: OwnTask) -> Path:
    """A sound data set of two shards, saved beside the task file."""
    rows = [{"text": f"a film {n}", "label": ("pos", "neg")[n % 2]} for n in range(40)]
    datasets.Dataset.from_list(rows).save_to_disk(str(own.folder / "shop"), num_shards=2)
    return own.folder / "shop"


def test_saved_data_cut_anywhere(own: OwnTask, shop: Path) -> None:
    """Mapped into memory, pages beyond the file's end kill the process."""
    shard = shop / "data-00001-of-00002.arrow"
    whole = shard.read_bytes()
    for size in range(0, len(whole) - 8, 61):
        shard.write_bytes(whole[:size])
        assert own.message("shop").startswith(f"shop/{shard.name} is not a sound file of Dataset.save_to_disk: "), size


def test_saved_data_whose_offsets_lead_out_of_the_file(own: OwnTask, shop: Path) -> None:
    """Read without a check, such texts lie in memory that belongs to nobody."""
    shard = shop / "data-00000-of-00002.arrow"
    data = shard.read_bytes()
    offsets = b"".join((n * len("a film 0")).to_bytes(4, "little") for n in range(4))
    assert data.count(offsets) == 1
    shard.write_bytes(data.replace(offsets, offsets[:8] + b"\xff\xff\xff\x7f" + offsets[12:]))
    assert own.message("shop").startswith(f"shop/{shard.name} is not a sound file of Dataset.save_to_disk: ")


def test_saved_text_that_is_not_utf8(own: OwnTask, shop: Path) -> None:
    shard = shop / "data-00000-of-00002.arrow"
    shard.write_bytes(shard.read_bytes().replace(b"a film 3", b"a f\xfflm 3"))
    assert own.message("shop").startswith(f"shop/{shard.name} is not a sound file of Dataset.save_to_disk: ")


SHARD = '{"_data_files": [{"filename": %s}]}'
FOLDERS = {
    "state.json": {
        "": "state.json is not JSON: ",
        "{": "state.json is not JSON: ",
        "[" * 99_999: "state.json is nested too deeply to be read",
        "[]": "its JSON doesn't name files and columns",
        "{}": "its JSON doesn't name files and columns",
        '{"_data_files": ["a"]}': "its JSON doesn't name files and columns",
        '{"_data_files": {"filename": "a"}}': "its JSON doesn't name files and columns",
        SHARD % "3": "its JSON doesn't name files and columns",
        SHARD % '"none.arrow"': "there is no shop/none.arrow",
        SHARD % '"a\\u0000b"': "shop/a\\x00b is not a path",
        SHARD % '"state.json"': "shop/state.json is not a sound file",
        SHARD % '"."': "shop is not a regular file",
    },
    "dataset_info.json": {"null": "its JSON doesn't name", "{}": "its JSON doesn't name", "\udcff": "is not UTF-8"},
    "dataset_dict.json": {
        "[]": "dataset_dict.json names no splits",
        '{"splits": "train"}': "dataset_dict.json names no splits",
        '{"splits": [1]}': "dataset_dict.json names no splits",
        '{"splits": ["train"]}': "there is no shop/train/state.json",
    },
}


@pytest.mark.parametrize("name", FOLDERS)
def test_damaged_description_of_saved_data(own: OwnTask, shop: Path, name: str) -> None:
    for content, message in FOLDERS[name].items():
        (shop / name).write_text(content, encoding="utf-8", errors="surrogateescape")
        assert message in own.message("shop"), content[:40]


def test_missing_pieces_of_saved_data_are_named(own: OwnTask, shop: Path) -> None:
    (shop / "data-00001-of-00002.arrow").unlink()
    assert own.message("shop") == (
        "there is no shop/data-00001-of-00002.arrow: did you mean 'data-00000-of-00002.arrow'?"
    )
    (shop / "state.json").unlink()
    assert own.message("shop") == ("shop is not a whole folder of Dataset.save_to_disk: there is no shop/state.json")


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.tsv", "pipe.jsonl", "pipe.parquet"])
def test_pipes_and_devices_are_no_data_files(own: OwnTask, name: str) -> None:
    os.mkfifo(own.folder / name)
    assert own.message(name) == f"{name} is not a regular file"
    (own.folder / name).unlink()
    (own.folder / name).symlink_to("/dev/zero")
    assert own.message(name) == f"{name} is not a regular file"


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json", "dataset_dict.json", "data-00000-of-00002.arrow"])
def test_pipes_in_saved_data(own: OwnTask, shop: Path, name: str) -> None:
    (shop / name).unlink(missing_ok=True)
    os.mkfifo(shop / name)
    assert own.message("shop").endswith(f"shop/{name} is not a regular file")


def test_task_file_that_is_a_pipe_or_huge(own: OwnTask) -> None:
    task = own.folder / "task.toml"
    os.mkfifo(task)
    assert own.refusal() == "task.toml is not a regular file"
    task.unlink()
    with task.open("wb") as file:
        file.truncate(2**40)
    assert own.refusal() == f"task.toml {LIMIT.replace('1 MB', '16 MB')}"


def test_paths_that_the_system_refuses(own: OwnTask) -> None:
    assert own.message("x" * 300 + ".csv").endswith(".csv can't be read (File name too long)")
    assert own.message("clinic.csv/shop.csv") == "there is no clinic.csv/shop.csv"
    (own.folder / "loop.csv").symlink_to("loop.csv")
    assert own.message("loop.csv") == "loop.csv can't be read (Too many levels of symbolic links)"


@pytest.mark.parametrize("name", ["shop.csv", "shop.tsv", "shop.jsonl", "shop.parquet"])
def test_size_limit_of_a_file(own: OwnTask, name: str) -> None:
    with (own.folder / name).open("wb") as file:
        file.truncate(2**40)
    assert own.message(name) == f"shop.{name.split('.')[1]} {LIMIT.replace('1 MB', '1000 MB')}"


def test_size_limit_is_raised_by_its_key(own: OwnTask) -> None:
    long = "word " * (MEGABYTE // 5)
    own.csv("shop.csv", [(long, "pos"), ("short", "neg")])
    assert own.message("shop.csv", "size_limit = 1") == f"shop.csv {LIMIT}"
    assert own.rows("shop.csv", "size_limit = 2") == [(long.strip(), "pos"), ("short", "neg")]
    assert own.message("shop.csv", "size_limit = 0").startswith("task.toml: size_limit = 0 is out of range")


def test_small_file_of_very_many_rows(own: OwnTask) -> None:
    table = pa.table({"text": ["a film"] * 10_000, "label": ["pos"] * 10_000})
    pq.write_table(table, own.folder / "shop.parquet")
    assert (own.folder / "shop.parquet").stat().st_size < 2000
    assert own.message("shop.parquet", "size_limit = 1") == f"shop.parquet {LIMIT}"
    assert own.rows("shop.parquet", "size_limit = 10") == [("a film", "pos")]


def test_small_file_of_a_very_long_text(own: OwnTask) -> None:
    table = pa.table({"text": ["a" * 3 * MEGABYTE, "b"], "label": ["pos", "neg"]})
    pq.write_table(table, own.folder / "shop.parquet", compression="zstd", use_dictionary=False)
    assert (own.folder / "shop.parquet").stat().st_size < 4000
    assert own.message("shop.parquet", "size_limit = 2") == f"shop.parquet {LIMIT.replace('1 MB', '2 MB')}"


def test_long_text_that_is_stored_once_and_meant_often(own: OwnTask) -> None:
    table = pa.table({"text": ["a" * 100_000] * 100, "label": ["pos"] * 100})
    pq.write_table(table, own.folder / "shop.parquet")
    assert own.message("shop.parquet", "size_limit = 4") == f"shop.parquet {LIMIT.replace('1 MB', '4 MB')}"


def test_saved_data_of_rows_without_bytes(own: OwnTask, shop: Path) -> None:
    """A column of nulls has a length and nothing else."""
    shard = shop / "data-00000-of-00002.arrow"
    columns = [pa.nulls(10**8), pa.nulls(10**8)]
    batch = pa.RecordBatch.from_arrays(columns, names=["text", "label"])
    with pa.ipc.new_stream(str(shard), batch.schema) as stream:
        stream.write_batch(batch)
    assert own.message("shop") == f"shop/{shard.name} {LIMIT.replace('1 MB', '1000 MB')}"
