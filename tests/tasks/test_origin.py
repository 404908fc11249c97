"""Where a text stands in the data is known of every text of a task, whatever happened to it on the way."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2a_gym.assets import HUTTO, asset_folder
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

SHOPS = [(f"shoe {n}", ("pos", "neg")[n % 3 == 0]) for n in range(40)]


def parts_of(task: Task) -> Iterator[Texts]:
    yield from (task.train, task.dev, task.select, task.test, *task.sources.values(), task.unlabelled)


def placed(texts: Texts) -> Iterator[tuple[Path, int, str]]:
    """File, line or row, and text."""
    assert len(texts.origin or ()) == len(texts)
    for place, text in zip(texts.origin or (), texts.text, strict=True):
        file, _, number = place.rsplit(" ", 2)
        yield Path(file), int(number), text


def test_lines_of_csv_and_json_lines(own: OwnTask) -> None:
    """Cells over two lines, blank lines, rows without a label and texts that stand twice move all that follow."""
    cells = [
        f'"{text}\nand more",{label}\n' if n % 5 == 0 else f"{text},{label}\n" for n, (text, label) in enumerate(SHOPS)
    ]
    own.write("shop.csv", "text,label\n\nshoe 1,\nvisit 3,pos\nshoe 2,pos\n" + "".join(cells))
    own.write("more.jsonl", "\n" + "\n\n".join(json.dumps({"text": f"call {n}"}) for n in range(12)))
    toml = (
        "target = 'clinic'\nshots = 4\nunlabelled = 'more.jsonl'\nsource_limit = 30\n[noise]\nshop = 0.3\n"
        "[resample]\nshop = { pos = 0.5 }\n[domains]\nclinic = 'clinic.csv'\nshop = 'shop.csv'\n"
    )
    task = make_task(str(own.write("task.toml", toml)))
    assert len(task.sources["shop"]) < 30
    found = [each for texts in parts_of(task) for each in placed(texts)]
    assert {file.name for file, _, _ in found} == {"clinic.csv", "shop.csv", "more.jsonl"}
    for file, number, text in found:
        line = file.read_text(encoding="utf-8").split("\n")[number - 1]
        first = json.loads(line)["text"] if file.suffix == ".jsonl" else line.split(",")[0].strip('"')
        assert first == text.split("\n")[0]


@pytest.mark.parametrize("name", ["shop.parquet", "shop"])
def test_rows_of_tables(own: OwnTask, name: str) -> None:
    rows = [{"text": text, "label": label} for text, label in [("visit 3", "pos"), *SHOPS]]
    splits = {"train": rows[:25], "test": rows[25:]}
    if name == "shop":
        saved = {split: datasets.Dataset.from_list(part) for split, part in splits.items()}
        datasets.DatasetDict(saved).save_to_disk(str(own.folder / name))
    else:
        pq.write_table(pa.Table.from_pylist(rows), own.folder / name)
    for file, number, text in placed(own.make(name).sources["shop"]):
        _, _, split = str(file).partition(" split ")
        assert (splits[split] if name == "shop" else rows)[number - 1]["text"] == text


def test_lines_of_the_embedded_default() -> None:
    with tarfile.open(asset_folder(HUTTO) / "hutto_ICWSM_2014.tar.gz") as files:
        for texts in parts_of(make_task("hutto/nyt-64-mixed")):
            lines: dict[Path, list[str]] = {}
            for file, number, text in placed(texts):
                if file not in lines:
                    packed = files.extractfile(f"hutto_ICWSM_2014/{file}")
                    assert packed is not None
                    lines[file] = io.TextIOWrapper(packed, encoding="utf-8-sig").readlines()
                assert lines[file][number - 1].split("\t")[2].split()[0][:1] in ("&", text[0])
            assert len(lines) <= 1
