"""A user's own task: what a task file gives, and the sentence for each mistake in it or in its data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.files import make
from l2a_gym.tasks.task import Budget, Task, Texts

PARAPHRASE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "paraphrase"
HEADER = 'target = "news"\nshots = 8\n'
DOMAINS = '[domains]\nnews = "news.csv"\nfilms = "films.csv"\n'
ROWS = 40

Rows = list[dict[str, object]]


def rows_of(name: str, rows: int = ROWS) -> Rows:
    """Every second text is good, the others are bad."""
    return [{"text": f"{name} text {n}", "label": ("good", "bad")[n % 2]} for n in range(rows)]


def write_csv(path: Path, rows: Rows, separator: str = ",") -> None:
    lines = [separator.join(rows[0]), *(separator.join(str(cell) for cell in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_tsv(path: Path, rows: Rows) -> None:
    write_csv(path, rows, "\t")


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_parquet(path: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_dataset(path: Path, rows: Rows) -> None:
    datasets.Dataset.from_list(rows).save_to_disk(str(path))


def write_dataset_dict(path: Path, rows: Rows) -> None:
    splits = {"train": rows[:25], "test": rows[25:]}
    datasets.DatasetDict({k: datasets.Dataset.from_list(v) for k, v in splits.items()}).save_to_disk(str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sound domains: news.csv and films.csv."""
    for name in ("news", "films"):
        write_csv(tmp_path / f"{name}.csv", rows_of(name))
    return tmp_path


def task_of(folder: Path, toml: str) -> Task:
    (folder / "task.toml").write_text(toml, encoding="utf-8")
    return make(str(folder / "task.toml"))


def message_of(folder: Path, toml: str) -> str:
    with pytest.raises(UserError) as caught:
        task_of(folder, toml)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")


def all_of(task: Task, *splits: str) -> list[tuple[str, str]]:
    """(text, class name) of the target's splits, sorted."""
    whole = [getattr(task, split) for split in splits or ("train", "dev", "select", "test")]
    return sorted((text, task.labels[c]) for part in whole for text, c in zip(part.text, part.label, strict=True))


def as_pairs(rows: Rows) -> list[tuple[str, str]]:
    return sorted((str(row["text"]), str(row["label"])) for row in rows)


def test_defaults(folder: Path) -> None:
    task = task_of(folder, HEADER + DOMAINS)
    assert task.id == str(folder / "task.toml")
    assert (task.target, task.domains, task.labels) == ("news", ("news", "films"), ("bad", "good"))
    assert [len(part) for part in (task.train, task.dev, task.select)] == [8, 8, 8]
    assert set(all_of(task)) <= set(as_pairs(rows_of("news")))
    assert (task.budget, task.max_length, dict(task.flipped)) == (Budget(), 0, {})
    assert sorted(task.sources["films"].text) == sorted(str(row["text"]) for row in rows_of("films"))


def test_every_key_counts(folder: Path) -> None:
    toml = (
        HEADER
        + 'labels = ["good", "bad"]\nnoise = 0.25\nseed = 7\nsource_limit = 20\nmax_length = 32\n'
        + DOMAINS
        + '[columns]\ntext = "text"\nlabel = "label"\n[budget]\nsteps = 3\ncandidates = 64\nupdates = 2\n'
    )
    task = task_of(folder, toml)
    assert task.labels == ("good", "bad")
    assert (task.budget, task.max_length) == (Budget(steps=3, candidates=64, updates=2), 32)
    assert len(task.sources["films"]) == 20
    true = {str(row["text"]): row["label"] for row in rows_of("films")}
    given = [task.labels[c] for c in task.sources["films"].label]
    wrong = [true[text] != name for text, name in zip(task.sources["films"].text, given, strict=True)]
    assert task.flipped["films"].tolist() == wrong
    assert sum(wrong) == 5
    assert all_of(task_of(folder, toml), "train") == all_of(task, "train")
    assert all_of(task_of(folder, toml.replace("seed = 7", "seed = 8")), "train") != all_of(task, "train")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("own.csv", write_csv),
        ("own.tsv", write_tsv),
        ("own.JSONL", write_jsonl),
        ("own.parquet", write_parquet),
        ("own", write_dataset),
        ("own", write_dataset_dict),
    ],
)
def test_every_format_gives_the_same_task(folder: Path, name: str, write: Callable[[Path, Rows], None]) -> None:
    reference = task_of(folder, HEADER + DOMAINS)
    write(folder / name, rows_of("news"))
    task = task_of(folder, HEADER + DOMAINS.replace("news.csv", name))
    assert task.train.text == reference.train.text
    assert all_of(task) == all_of(reference)


def test_files_of_one_domain_are_joined(folder: Path) -> None:
    write_jsonl(folder / "more.jsonl", rows_of("more"))
    task = task_of(folder, HEADER + DOMAINS.replace('"films.csv"', '["films.csv", "more.jsonl"]'))
    assert sorted(task.sources["films"].text) == sorted(
        str(row["text"]) for row in [*rows_of("films"), *rows_of("more")]
    )


@pytest.mark.parametrize(
    ("labels", "written", "named"),
    [
        ('labels = ["no", "yes"]\n', [0, 1], ("no", "yes")),
        ('labels = ["no", "yes"]\n', ["yes", 0], ("yes", "no")),
        ('labels = ["no", "yes"]\n', [True, False], ("yes", "no")),
        ('labels = ["1", "2"]\n', [1, 2], ("1", "2")),
        ('labels = ["1", "0"]\n', [0, 1], ("0", "1")),
        ("", [10, 9], ("10", "9")),
        ("", ["b", "a"], ("b", "a")),
    ],
)
def test_labels_are_names_or_numbers(folder: Path, labels: str, written: list[object], named: tuple[str, str]) -> None:
    for name in ("news", "films"):
        write_jsonl(folder / f"{name}.jsonl", [{"text": f"{name} {n}", "label": written[n % 2]} for n in range(ROWS)])
    task = task_of(folder, HEADER + labels + DOMAINS.replace(".csv", ".jsonl"))
    given = {(int(text.split()[1]) % 2, name) for text, name in all_of(task)}
    assert given == {(0, named[0]), (1, named[1])}


def test_numbers_as_classes_are_sorted_by_value(folder: Path) -> None:
    for name in ("news", "films"):
        write_csv(folder / f"{name}.csv", [{"text": f"{name} {n}", "label": (2, 10, 1)[n % 3]} for n in range(ROWS)])
    assert task_of(folder, HEADER + DOMAINS).labels == ("1", "2", "10")


def test_pairs_keep_their_sides_and_labels(folder: Path) -> None:
    rows: Rows = [{"a": f"left {n}", "b": f"right {n}", "same": n % 2} for n in range(ROWS)]
    write_jsonl(folder / "news.jsonl", rows)
    write_jsonl(folder / "films.jsonl", [{**row, "a": f"other {row['a']}"} for row in rows])
    columns = '[columns]\ntext = "a"\npair = "b"\nlabel = "same"\n'
    task = task_of(folder, HEADER + DOMAINS.replace(".csv", ".jsonl") + columns)
    for part in (task.train, task.dev, task.select, task.test, task.sources["films"]):
        assert part.pair is not None
        for text, pair, label in zip(part.text, part.pair, part.label, strict=True):
            number = int(text.split()[-1])
            assert (pair, label) == (f"right {number}", number % 2)


TOML_MISTAKES = {
    "syntax": ("target = news\n" + DOMAINS, ["task.toml is not valid TOML", "line 1"]),
    "domain twice": (HEADER + DOMAINS + 'news = "b.csv"\n', ["task.toml", "a name stands twice", "line 6"]),
    "key twice": (HEADER + "shots = 9\n" + DOMAINS, ["task.toml", "a name stands twice", "line 3"]),
    "unknown key": (HEADER + "nose = 0.1\n" + DOMAINS, ["key in task.toml 'nose'", "mean 'noise'"]),
    "unknown column key": (HEADER + DOMAINS + '[columns]\nlable = "x"\n', ["[columns] 'lable'", "mean 'label'"]),
    "unknown budget key": (HEADER + DOMAINS + "[budget]\nstep = 3\n", ["[budget] 'step'", "mean 'steps'"]),
    "no target": ("shots = 8\n" + DOMAINS, ["task.toml", "'target' is missing"]),
    "no shots": ('target = "news"\n' + DOMAINS, ["task.toml", "'shots' is missing"]),
    "no domains": (HEADER, ["task.toml", "'domains' is missing"]),
    "shots as text": ('target = "news"\nshots = "8"\n' + DOMAINS, ["task.toml: shots = '8'", "whole number"]),
    "shots as fraction": ('target = "news"\nshots = 8.5\n' + DOMAINS, ["task.toml: shots = 8.5", "whole number"]),
    "seed as truth": (HEADER + "seed = true\n" + DOMAINS, ["task.toml: seed = True", "whole number"]),
    "columns as text": (HEADER + 'columns = "text"\n' + DOMAINS, ["task.toml: columns = 'text'", "table"]),
    "steps as text": (HEADER + DOMAINS + '[budget]\nsteps = "3"\n', ["[budget]: steps = '3'", "whole number"]),
    "domain as number": (HEADER + DOMAINS + "web = 3\n", ["task.toml [domains]: web = 3", "path"]),
    "domain without file": (HEADER + DOMAINS + "web = []\n", ["task.toml [domains]: web = []", "path"]),
    "one domain": (HEADER + '[domains]\nnews = "news.csv"\n', ["task.toml [domains]: 1 given", "at least one source"]),
    "unknown target": (
        HEADER.replace("news", "newz") + DOMAINS,
        ["target in task.toml 'newz'", "mean 'news'", "films"],
    ),
    "noise too high": (HEADER + "noise = 1.1\n" + DOMAINS, ["task.toml: noise = 1.1", "numbers from 0 to 1"]),
    "noise negative": (HEADER + "noise = -0.1\n" + DOMAINS, ["task.toml: noise = -0.1", "numbers from 0 to 1"]),
    "noise not a number": (HEADER + "noise = nan\n" + DOMAINS, ["task.toml: noise = nan", "numbers from 0 to 1"]),
    "seed negative": (HEADER + "seed = -1\n" + DOMAINS, ["task.toml: seed = -1", "from 0"]),
    "no source texts": (HEADER + "source_limit = 0\n" + DOMAINS, ["task.toml: source_limit = 0", "from 1"]),
    "too long": (HEADER + "max_length = 513\n" + DOMAINS, ["task.toml: max_length = 513", "from 4 to below 513"]),
    "budget": (HEADER + DOMAINS + "[budget]\ncandidates = 10\nupdates = 3\n", ["[budget]", "candidates a multiple of"]),
    "same column": (HEADER + DOMAINS + '[columns]\npair = "text"\n', ["[columns]", "text, text, label", "different"]),
    "file twice": (
        HEADER + DOMAINS + 'web = "x/../films.csv"\n',
        ["[domains]: x/../films.csv", "films and again in web"],
    ),
    "file missing": (HEADER + DOMAINS.replace("films.csv", "film.csv"), ["no film.csv", "mean 'films.csv'"]),
    "label twice": (HEADER + 'labels = ["good", "good"]\n' + DOMAINS, ["task.toml: labels", "'good' twice"]),
    "label as number": (HEADER + "labels = [0, 1]\n" + DOMAINS, ["task.toml: labels = [0, 1]", "names in quotes"]),
    "one class": (HEADER + 'labels = ["good"]\n' + DOMAINS, ["task.toml: labels has 1 classes", "2 to 200"]),
    "unknown label": (HEADER + 'labels = ["goods", "bad"]\n' + DOMAINS, ["news.csv line 2 'good'", "mean 'goods'"]),
    "class not in target": (
        HEADER + 'labels = ["good", "bad", "odd"]\n' + DOMAINS,
        ["task.toml: needs 2 different news texts of class 'odd', found 0"],
    ),
    "too many shots": (
        HEADER.replace("8", "99") + DOMAINS,
        ["task.toml: 99 shots of 40 different news", "from 2", "to 37"],
    ),
    "too few shots": (HEADER.replace("8", "1") + DOMAINS, ["task.toml: 1 shots", "from 2 (a text a class)"]),
    "unknown column": (HEADER + DOMAINS + '[columns]\ntext = "texts"\n', ["column of news.csv 'texts'", "mean 'text'"]),
}


@pytest.mark.parametrize(("toml", "parts"), TOML_MISTAKES.values(), ids=TOML_MISTAKES)
def test_mistake_in_the_task_file(folder: Path, toml: str, parts: list[str]) -> None:
    message = message_of(folder, toml)
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("side", ["text", "other"])
def test_empty_side_of_a_pair_is_named(folder: Path, side: str) -> None:
    rows: Rows = [{"text": f"left {n}", "other": f"right {n}", "label": n % 2} for n in range(ROWS)]
    write_jsonl(folder / "films.jsonl", rows)
    rows[11][side] = "\t"
    write_jsonl(folder / "news.jsonl", rows)
    toml = HEADER + DOMAINS.replace(".csv", ".jsonl") + '[columns]\npair = "other"\n'
    assert message_of(folder, toml) == f"news.jsonl line 12: the {side} is empty"


def test_task_file_that_is_missing_or_not_utf8(folder: Path) -> None:
    (folder / "task.toml").write_bytes(b'target = "news"\n# caf\xe9\n')
    with pytest.raises(UserError, match=r"task\.toml line 2 is not UTF-8"):
        make(str(folder / "task.toml"))
    with pytest.raises(UserError, match=r"there is no .*tusk\.toml: did you mean 'task\.toml'"):
        make(str(folder / "tusk.toml"))


def test_all_of_one_class(folder: Path) -> None:
    for name in ("news", "films"):
        write_csv(folder / f"{name}.csv", [{"text": f"{name} {n}", "label": "good"} for n in range(ROWS)])
    assert "the data has 1 classes (good, ...): valid are 2 to 200" in message_of(folder, HEADER + DOMAINS)


def test_label_column_that_holds_no_classes(folder: Path) -> None:
    write_csv(folder / "films.csv", [{"text": f"films {n}", "label": f"id{n}"} for n in range(201)])
    assert "the data has 203 classes (bad, good, id0, ...)" in message_of(folder, HEADER + DOMAINS)


def test_source_of_one_class_is_fine(folder: Path) -> None:
    write_csv(folder / "films.csv", [{"text": f"films {n}", "label": "good"} for n in range(ROWS)])
    task = task_of(folder, HEADER + DOMAINS)
    assert Counter(task.sources["films"].label.tolist()) == {1: ROWS}


def labelled(folder: Path, name: str, labels: dict[str, int]) -> None:
    """Write a domain with so many texts of each label, label by label."""
    names = [label for label, times in labels.items() for _ in range(times)]
    write_csv(folder / f"{name}.csv", [{"text": f"{name} {n}", "label": label} for n, label in enumerate(names)])


SLIPS = {
    "in a source": (
        {"pos": 9, "neg": 9},
        {"pos": 5, "neg": 5, "postive": 1},
        ["'postive' at films.csv line 12", "a class needs at least 4 texts of news, and it has 0", "mean 'pos'?"],
        "'postive' 1 (0), 'neg' 14 (9), 'pos' 14 (9)",
    ),
    "three times in the target": (
        {"pos": 9, "postive": 3, "neg": 9},
        {"pos": 5, "neg": 5},
        ["'postive' at news.csv line 11", "a class needs at least 4 texts of news, and it has 3", "mean 'pos'?"],
        "'postive' 3 (3), 'neg' 14 (9), 'pos' 14 (9)",
    ),
    "in another case": (
        {"Neg": 9, "Pos": 8, "neg": 9, "pos": 9},
        {"pos": 5, "neg": 5},
        ["'Pos' at news.csv line 11", "it differs from 'pos' in case, accents or spacing alone", "mean 'pos'?"],
        "'Pos' 8 (8), 'Neg' 9 (9), 'neg' 14 (9), 'pos' 14 (9)",
    ),
    "with a mark of no width": (
        {"neg": 9, "pos": 9, "neg\u200b": 9},
        {"pos": 5, "neg": 5},
        ["'neg\\u200b' at news.csv line 20", "it differs from 'neg' in case, accents or spacing alone", "mean 'neg'?"],
        "'neg\\u200b' 9 (9), 'neg' 14 (9), 'pos' 14 (9)",
    ),
    "rare and like a frequent one": (
        {"positive": 90, "negative": 90, "postive": 8},
        {"positive": 5, "negative": 5},
        ["'postive' at news.csv line 182", "it has 8 texts of news where 'positive' has 90", "mean 'positive'?"],
        "'postive' 8 (8), 'negative' 95 (90), 'positive' 95 (90)",
    ),
}
"""Labels of the target, labels of a source, what the error says of the slip, and how often it finds each label."""


@pytest.mark.parametrize(("target", "source", "parts", "counts"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_no_class(
    folder: Path, target: dict[str, int], source: dict[str, int], parts: list[str], counts: str
) -> None:
    labelled(folder, "news", target)
    labelled(folder, "films", source)
    message = message_of(folder, HEADER + DOMAINS)
    assert message.startswith("task.toml: the label ")
    assert [part for part in parts if part not in message] == [], message
    assert message.endswith(f" {counts}: mend the data, or name the classes with labels = [...]")


def test_of_many_classes_the_rarest_are_listed(folder: Path) -> None:
    labelled(folder, "news", {f"class {n:02}": 5 for n in range(30)} | {"odd": 1})
    labelled(folder, "films", {"class 00": 9, "class 01": 9})
    message = message_of(folder, HEADER.replace("8", "40") + DOMAINS)
    assert "'odd' 1 (1), 'class 02' 5 (5), " in message
    assert "'class 12' 5 (5) and 19 others: mend" in message


@pytest.mark.parametrize(
    "names", [("1", "10"), ("intent 01", "intent 02"), ("happy", "grumpy"), ("entailed", "neutral")]
)
def test_rare_classes_with_names_of_their_own_are_classes(folder: Path, names: tuple[str, str]) -> None:
    for name in ("news", "films"):
        labelled(folder, name, {names[0]: 60, names[1]: 4})
    assert set(task_of(folder, HEADER + DOMAINS).labels) == set(names)


def test_named_classes_are_taken_as_they_are(folder: Path) -> None:
    labelled(folder, "news", {"neg": 30, "Neg": 2})
    labelled(folder, "films", {"neg": 5})
    task = task_of(folder, HEADER + 'labels = ["neg", "Neg"]\n' + DOMAINS)
    assert [set(part.label.tolist()) for part in (task.train, task.dev)] == [{0, 1}, {0, 1}]


def test_target_class_with_one_text(folder: Path) -> None:
    labelled(folder, "news", {"good": 1, "bad": 39})
    message = message_of(folder, HEADER + 'labels = ["bad", "good"]\n' + DOMAINS)
    assert message == "task.toml: needs 2 different news texts of class 'good', found 1"


@pytest.mark.skipif(not PARAPHRASE.is_dir(), reason="needs ../shared/data/paraphrase, which is not here")
def test_real_pairs_from_pan_to_mrpc(tmp_path: Path) -> None:
    def listed(name: str) -> str:
        return json.dumps([str(PARAPHRASE / f"{name}_{part}.jsonl") for part in ("train", "test")])

    toml = f'target = "mrpc"\nshots = 100\nlabels = ["different", "same"]\n[domains]\nmrpc = {listed("mrpc")}\n'
    task = task_of(tmp_path, toml + f'pan = {listed("pan")}\n[columns]\npair = "text_pair"\n')
    assert [len(part) for part in (task.train, task.dev, task.select)] == [100, 512, 256]
    assert (task.max_length, task.domains, len(task.sources["pan"])) == (0, ("mrpc", "pan"), 4000)
    true: dict[tuple[str, str], int] = {}
    for part in ("train", "test"):
        for line in (PARAPHRASE / f"mrpc_{part}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            true.setdefault((row["text"].strip(), row["text_pair"].strip()), row["label"])
    splits: list[Texts] = [task.train, task.dev, task.select, task.test]
    for split in splits:
        assert split.pair is not None
        assert [true[key] for key in zip(split.text, split.pair, strict=True)] == split.label.tolist()
    keys = [set(zip(split.text, split.pair or (), strict=True)) for split in splits]
    assert len(set.union(*keys)) == sum(len(split) for split in splits)
    share = np.mean(list(true.values()))
    assert abs(task.train.label.mean() - share) < 0.05
