"""What a label in a data file means: names before positions, and rows that have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.registry import make_task

if TYPE_CHECKING:
    from tests.tasks.conftest import OwnTask

FILM = ["a fine film", "a dull film", "the best film", "the worst film"]
FILMS = list(zip(FILM, ["pos", "neg"] * 2, strict=True))
NAMES = 'labels = ["pos", "neg"]'


def classes(labels: list[int | None], names: list[str], texts: list[str] = FILM) -> datasets.Dataset:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    return datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)


def save(data: datasets.Dataset, path: Path) -> None:
    if path.suffix == ".parquet":
        data.to_parquet(str(path))
    else:
        data.save_to_disk(str(path))


@pytest.mark.parametrize("keys", ["", NAMES, 'labels = ["neg", "pos"]'])
@pytest.mark.parametrize("name", ["shop", "shop.parquet"])
def test_class_names_count_in_whatever_order_they_stand(own: OwnTask, name: str, keys: str) -> None:
    save(classes([0, 1, 0, 1], ["pos", "neg"]), own.folder / name)
    assert own.rows(name, keys) == FILMS
    save(classes([1, 0, 1, 0], ["neg", "pos"]), own.folder / f"other-{name}")
    assert own.rows(f"other-{name}", keys) == FILMS


def test_all_shards_of_all_splits_are_read_in_order(own: OwnTask) -> None:
    more = classes([1, 0, None, 0], ["neg", "pos"], [f"{text} of all" for text in FILM])
    splits = datasets.DatasetDict({"train": classes([1, 0, 1, 0], ["neg", "pos"]), "test": more})
    splits.save_to_disk(str(own.folder / "shop"), num_shards={"train": 3, "test": 2})
    rows = own.rows("shop")
    assert rows == [
        *FILMS,
        ("a fine film of all", "pos"),
        ("a dull film of all", "neg"),
        ("the worst film of all", "neg"),
    ]


def test_number_that_is_a_class_name_is_the_label_that_was_written(own: OwnTask) -> None:
    save(classes([0, 1, 0, 1], ["1", "0"]), own.folder / "shop")
    assert own.rows("shop", NAMES) == [(text, {"pos": "neg", "neg": "pos"}[label]) for text, label in FILMS]


def test_other_names_than_those_of_the_task_are_no_positions(own: OwnTask) -> None:
    save(classes([0, 1, 0, 1], ["good", "negative"]), own.folder / "shop")
    assert own.message("shop", NAMES) == "unknown label at shop row 1 'good': valid are pos, neg"
    assert own.message("shop", 'labels = ["good", "neg"]').startswith("unknown label at clinic.csv line 2 'pos'")


def test_numbers_without_names_are_positions(own: OwnTask) -> None:
    pq.write_table(pa.table({"text": FILM, "label": [0.0, 1.0, 0.0, 1.0]}), own.folder / "shop.parquet")
    assert own.rows("shop.parquet", NAMES) == FILMS


def test_class_numbers_as_floats_get_their_names(own: OwnTask) -> None:
    """What pandas makes of a column of classes in which a value is missing."""
    schema = classes([0, 1, 0, 1], ["neg", "pos"]).data.schema
    table = pa.table({"text": FILM, "label": [1.0, 0.0, None, float("nan")]}).replace_schema_metadata(schema.metadata)
    pq.write_table(table, own.folder / "shop.parquet")
    assert own.rows("shop.parquet", NAMES) == FILMS[:2]


def test_number_without_a_class(own: OwnTask) -> None:
    schema = classes([0, 1, 0, 1], ["neg", "pos"]).data.schema
    table = pa.table({"text": FILM, "label": [0, 1, 5, 0]}).replace_schema_metadata(schema.metadata)
    pq.write_table(table, own.folder / "shop.parquet")
    assert own.message("shop.parquet") == "shop.parquet row 3: there is no class 5: classes are 0 to 1 (neg, pos)"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("{", "shop.parquet metadata 'huggingface' is not JSON: "),
        (
            {"info": {"features": {"label": {"names": "neg"}}}},
            "shop.parquet: the class names of column 'label' are 'neg'",
        ),
        (
            {"info": {"features": {"label": {"names": [0, 1]}}}},
            "shop.parquet: the class names of column 'label' are [0",
        ),
    ],
)
def test_class_names_that_cannot_be_read(own: OwnTask, metadata: Any, message: str) -> None:
    stored = {"huggingface": metadata if isinstance(metadata, str) else json.dumps(metadata)}
    table = pa.table({"text": FILM, "label": [0, 1, 0, 1]}).replace_schema_metadata(stored)
    pq.write_table(table, own.folder / "shop.parquet")
    assert own.message("shop.parquet", NAMES).startswith(message)


@pytest.mark.parametrize("metadata", ["[]", '{"info": {"features": null}}', '{"info": {"features": {"label": {}}}}'])
def test_metadata_without_class_names(own: OwnTask, metadata: str) -> None:
    table = pa.table({"text": FILM, "label": [0, 1, 0, 1]}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, own.folder / "shop.parquet")
    assert own.rows("shop.parquet", NAMES) == FILMS


def test_hidden_labels_of_a_test_split_are_left_out_with_one_line(
    own: OwnTask, caplog: pytest.LogCaptureFixture
) -> None:
    visits = classes([0, 1] * 6, ["neg", "pos"], [f"a visit {n}" for n in range(12)])
    hidden = classes([-1] * 3, ["neg", "pos"], [f"unseen {n}" for n in range(3)])
    part = classes([0, -1, 1], ["neg", "pos"], [f"half seen {n}" for n in range(3)])
    splits = {"train": visits, "validation": part, "test": hidden}
    datasets.DatasetDict(splits).save_to_disk(str(own.folder / "clinic"))
    own.csv("shop.csv", FILMS)
    task = own.make("shop.csv", clinic="clinic")
    assert task.labels == ("neg", "pos")
    texts = {text for split in (task.train, task.dev, task.select, task.test) for text in split.text}
    assert texts <= {*visits["text"], "half seen 0", "half seen 2"}
    assert [message.replace(f"{own.folder}/", "") for message in caplog.messages] == [
        "clinic split validation: 1 of 3 rows have no label and are left out",
        "clinic split test: 3 of 3 rows have no label and are left out",
    ]


def test_domain_without_any_label(own: OwnTask) -> None:
    save(classes([-1] * 4, ["neg", "pos"]), own.folder / "films")
    assert own.message("films") == "task.toml [domains]: no row of shop has a label"
    assert own.message("clinic.csv", clinic="films") == "task.toml [domains]: no row of clinic has a label"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shop.csv", 'text,label\na fine film,pos\nnobody knows,\n,\nnor here," "\nhidden,-1\na dull film,neg\n'),
        ("shop.tsv", "text\tlabel\na fine film\tpos\nnobody knows\t\nnor here\tnan\nhidden\t-1.0\na dull film\tneg\n"),
        (
            "shop.jsonl",
            '{"text": "a fine film", "label": "pos"}\n{"text": "", "label": null}\n{"text": "nor here", "label": NaN}\n'
            '{"text": "hidden", "label": -1}\n{"text": "a dull film", "label": "neg"}\n',
        ),
    ],
)
def test_missing_labels_of_text_files(own: OwnTask, name: str, content: str, caplog: pytest.LogCaptureFixture) -> None:
    own.write(name, content)
    assert own.rows(name, NAMES) == FILMS[:2]
    assert caplog.messages == [f"{own.folder}/{name}: 3 of 5 rows have no label and are left out"]


def test_minus_one_is_a_class_where_it_is_named_or_one_of_two(own: OwnTask) -> None:
    own.csv("three.csv", [(f"visit {n}", (1, -1, 0)[n % 3]) for n in range(48)])
    own.csv("shop.csv", zip(FILM, [1, -1, 0, -1], strict=True))
    three = own.rows("shop.csv", 'labels = ["-1", "0", "1"]', clinic="three.csv")
    assert three == list(zip(FILM, ["1", "-1", "0", "-1"], strict=True))
    assert own.rows("shop.csv", 'labels = ["0", "1"]', clinic="three.csv") == [(FILM[0], "1"), (FILM[2], "0")]
    assert own.message("shop.csv", clinic="three.csv") == (
        "task.toml: the label -1 at three.csv line 3 can be a class or mean that there is none: "
        'write labels = ["0", "1"] to leave such rows out, or add "-1" to keep them'
    )
    own.csv("two.csv", [(f"visit {n}", (1, -1)[n % 2]) for n in range(24)])
    own.csv("shop.csv", zip(FILM, [1, -1, 1, -1], strict=True))
    assert own.make("shop.csv", clinic="two.csv").labels == ("-1", "1")


@pytest.mark.parametrize("written", [("1.0", "0.0"), ("1", "0"), (1.0, 0.0), (True, False)])
def test_whole_numbers_may_have_decimals(own: OwnTask, written: tuple[object, object]) -> None:
    own.csv("two.csv", [(f"visit {n}", n % 2) for n in range(24)])
    own.write("shop.jsonl", "".join(json.dumps({"text": FILM[n], "label": written[n]}) + "\n" for n in range(2)))
    assert own.rows("shop.jsonl", clinic="two.csv") == [(FILM[0], "1"), (FILM[1], "0")]
    assert own.rows("shop.jsonl", 'labels = ["1.0", "0.0"]', clinic="two.csv") == [(FILM[0], "1.0"), (FILM[1], "0.0")]
    assert own.rows("shop.jsonl", 'labels = ["neg", "pos"]') == FILMS[:2]


def test_positions_count_from_0(own: OwnTask) -> None:
    own.csv("shop.csv", zip(FILM, [1, 2, 1, 2], strict=True))
    assert own.message("shop.csv", NAMES) == (
        "unknown label at shop.csv line 3 '2': positions count from 0, so valid are 0 to 1, or pos, neg"
    )
    own.csv("shop.csv", [("half", "0.5")])
    assert own.message("shop.csv", NAMES) == "unknown label at shop.csv line 2 '0.5': valid are pos, neg"


def test_names_that_are_numbers_leave_no_positions(own: OwnTask) -> None:
    own.csv("stars.csv", [(f"visit {n}", (10, 20)[n % 2]) for n in range(24)])
    own.csv("shop.csv", zip(FILM, [10, 20, 0, 20], strict=True))
    message = own.message("shop.csv", 'labels = ["10", "20"]', clinic="stars.csv")
    assert message == "unknown label at shop.csv line 4 '0': valid are 10, 20"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("pos\x1b[31m", "shop.csv line 3: the label 'pos\\x1b[31m' has a control character or a line break"),
        ('"very\ngood"', "shop.csv line 3: the label 'very\\ngood' has a control character or a line break"),
        ("7" * 4301, "has 4301 characters: do labels stand there?"),
    ],
)
def test_cell_that_is_no_name(own: OwnTask, label: str, message: str) -> None:
    own.csv("shop.csv", [(FILM[0], "pos"), (FILM[1], label)])
    assert message in own.message("shop.csv")


def test_names_have_no_control_characters(own: OwnTask) -> None:
    with pytest.raises(UserError, match=r"^the task file 'a\\x1b\.toml' has a control character or a line break$"):
        make_task("a\x1b.toml")
    message = own.message("shop.csv", 'labels = ["pos", "neg\\u001b[0m"]')
    assert message == "task.toml: the name 'neg\\x1b[0m' has a control character or a line break"
    message = own.message("shop.csv'\n\"a\\nb\" = 'other.csv", NAMES)
    assert message == "task.toml [domains]: the domain 'a\\nb' has a control character or a line break"
    own.write("shop.csv", "te\x1bxt,label\na,b\n")
    assert (
        own.message("shop.csv")
        == "unknown column of shop.csv 'text': did you mean 'te\\x1bxt'? valid are te\\x1bxt, label"
    )
