"""Tasks of the Hugging Face hub, on made-up rows that are saved with the columns and features of the hub's sets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks import hub, hub_sets
from l2a_gym.tasks.registry import make_task, outline
from l2a_gym.tasks.task import Task, Texts

Rows = list[tuple[Any, ...]]

ROWS = 60
STRING, INT = datasets.Value("string"), datasets.Value("int64")
NLI = datasets.ClassLabel(names=["entailment", "neutral", "contradiction"])
INTENTS = datasets.ClassLabel(names=["oos", "smart_home", "recipe", "routing", "apr", "uber", "date", "greeting", "w2"])
MARC = "srvmishra832__multilingual-amazon-reviews-6-languages"
FEATURES: dict[str, dict[str, Any]] = {
    "allenai__scitail__tsv_format": {"premise": STRING, "hypothesis": STRING, "label": STRING},
    "nyu-mll__glue__mnli": {"premise": STRING, "hypothesis": STRING, "label": NLI, "idx": datasets.Value("int32")},
    "stanfordnlp__snli": {"premise": STRING, "hypothesis": STRING, "label": NLI},
    "nyu-mll__glue__mrpc": {
        "sentence1": STRING,
        "sentence2": STRING,
        "label": datasets.ClassLabel(names=["not_equivalent", "equivalent"]),
    },
    "nyu-mll__glue__qqp": {
        "question1": STRING,
        "question2": STRING,
        "label": datasets.ClassLabel(names=["not_duplicate", "duplicate"]),
    },
    "SetFit__CR": {"text": STRING, "label": INT, "label_text": STRING},
    "nyu-mll__glue__sst2": {"sentence": STRING, "label": datasets.ClassLabel(names=["negative", "positive"])},
    "cornell-movie-review-data__rotten_tomatoes": {
        "text": STRING,
        "label": datasets.ClassLabel(names=["neg", "pos"]),
    },
    MARC: {
        "review_body": STRING,
        "stars": datasets.Value("int32"),
        "language": STRING,
        "product_category": STRING,
    },
    "clinc__clinc_oos__small": {"text": STRING, "intent": INTENTS},
    "mteb__amazon_massive_scenario__en": {"id": STRING, "label": STRING, "label_text": STRING, "text": STRING},
    "mteb__mtop_domain__en": {"id": INT, "label": INT, "label_text": STRING, "text": STRING},
    "mteb__banking77": {"text": STRING, "label": INT, "label_text": STRING},
}
"""Folder of a set -> the columns that the hub's set has, in their order."""

SCITAIL = [(f"science {n}", f"claim {n}", ("entails", "neutral")[n % 2]) for n in range(ROWS)]
MRPC = [(f"left {n}", f"right {n}", n % 2) for n in range(ROWS)]
CR = [(f"gadget {n}", n % 2, ("negative", "positive")[n % 2]) for n in range(ROWS)]
STARS = {1: "negative", 2: "negative", 4: "positive", 5: "positive"}


def reviews(categories: Iterable[str], rows: int = ROWS) -> Rows:
    """Five stars in turn, in each category in English and in German."""
    return [
        (f"{category} {language} {n}", n % 5 + 1, language, category)
        for n in range(rows)
        for category in categories
        for language in ("de", "en")
    ]


def dataset_of(folder: str, rows: Rows) -> datasets.Dataset:
    features = datasets.Features(FEATURES[folder])
    columns = {name: [row[n] for row in rows] for n, name in enumerate(features)}
    return datasets.Dataset.from_dict(columns, features=features)


Save = Callable[..., None]


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Save:
    """Save a set in the folder of ``L2A_DATASETS``: rows without splits, or by split."""
    monkeypatch.setenv("L2A_DATASETS", str(tmp_path))

    def save_set(folder: str, rows: Rows | None = None, **splits: Rows) -> None:
        parts = {name: dataset_of(folder, part) for name, part in splits.items()}
        saved = datasets.DatasetDict(parts) if rows is None else dataset_of(folder, rows)
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
        saved.save_to_disk(str(tmp_path / folder))

    return save_set


@pytest.fixture
def paraphrase(save: Save) -> Save:
    """The two sets of ``hub/mrpc``, sound."""
    save("nyu-mll__glue__mrpc", MRPC)
    save("nyu-mll__glue__qqp", [("how?", "why?", 0), ("who is it?", "who's it?", 1)])
    return save


@pytest.fixture
def sentiment(save: Save) -> Save:
    """The three sets of ``hub/cr``, sound."""
    save("SetFit__CR", CR)
    save("nyu-mll__glue__sst2", [("a mess", 0), ("a gem", 1)])
    save("cornell-movie-review-data__rotten_tomatoes", [("so dull", 0), ("so fine", 1)])
    return save


def rows_of(task: Task, texts: Texts) -> Rows:
    """Text, second text where there is one, and class name."""
    sides = [texts.text, *([texts.pair] if texts.pair else [])]
    return list(zip(*sides, [task.labels[code] for code in texts.label], strict=True))


def target_of(task: Task) -> Rows:
    return [row for part in (task.train, task.dev, task.select, task.test) for row in rows_of(task, part)]


def splits_of(task: Task) -> list[Texts]:
    return [task.train, task.dev, task.select, task.test]


def message_of(task_id: str, tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        make_task(task_id)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{tmp_path}/", "")


def test_inference_has_two_classes_and_leaves_out_what_annotators_did_not_agree_on(save: Save) -> None:
    save("allenai__scitail__tsv_format", train=SCITAIL[:20], validation=SCITAIL[20:30], test=SCITAIL[30:])
    save("nyu-mll__glue__mnli", [("p0", "h0", 0, 0), ("p1", "h1", 1, 1), ("p2", "h2", 2, 2)])
    save("stanfordnlp__snli", [("q0", "i0", 2), ("q1", "i1", -1), ("q2", "i2", 0), ("q3", "i3", 1)])
    task = make_task("hub/scitail-16")
    assert (task.id, task.target, task.labels) == ("hub/scitail-16", "scitail", ("entails", "neutral"))
    assert (task.domains, task.max_length) == (("scitail", "mnli", "snli"), 0)
    assert rows_of(task, task.sources["mnli"]) == [
        ("p0", "h0", "entails"),
        ("p1", "h1", "neutral"),
        ("p2", "h2", "neutral"),
    ]
    assert rows_of(task, task.sources["snli"]) == [
        ("q0", "i0", "neutral"),
        ("q2", "i2", "entails"),
        ("q3", "i3", "neutral"),
    ]
    assert set(target_of(task)) <= set(SCITAIL)


def test_pairs_keep_both_sides_in_order_and_need_both(save: Save) -> None:
    save("nyu-mll__glue__mrpc", MRPC)
    questions = [("b", "a", 1), ("a", "b", 0), ("", "c", 1), ("d", " ", 0), (None, "e", 0), (" f ", "g", 0)]
    save("nyu-mll__glue__qqp", questions)
    task = make_task("hub/mrpc-16")
    assert rows_of(task, task.sources["qqp"]) == [("b", "a", "same"), ("a", "b", "different"), ("f", "g", "different")]
    true = {(left, right, ("different", "same")[label]) for left, right, label in MRPC}
    assert (task.domains, set(target_of(task)) <= true, len(task.train)) == (("mrpc", "qqp"), True, 16)


def test_sentiment_reads_class_names_and_plain_numbers(sentiment: Save) -> None:
    task = make_task("hub/cr-16")
    assert rows_of(task, task.sources["sst2"]) == [("a mess", "negative"), ("a gem", "positive")]
    assert rows_of(task, task.sources["mr"]) == [("so dull", "negative"), ("so fine", "positive")]
    assert set(target_of(task)) <= {(text, name) for text, _, name in CR}


def test_splits_are_joined_and_others_are_not_read(sentiment: Save) -> None:
    sentiment("cornell-movie-review-data__rotten_tomatoes", train=[("a", 0)], validation=[("b", 1)], test=[("c", 0)])
    sentiment("nyu-mll__glue__sst2", train=[("d", 1)], validation=[("e", 0)], test=[("f", -1)])
    task = make_task("hub/cr-16")
    assert task.sources["mr"].text == ("a", "b", "c")
    assert task.sources["sst2"].text == ("d",)
    splits = [f"cornell-movie-review-data/rotten_tomatoes {split} row 1" for split in ("train", "validation", "test")]
    assert [task.sources[name].origin for name in ("mr", "sst2")] == [tuple(splits), ("nyu-mll/glue sst2 train row 1",)]


def test_the_test_split_of_the_target_stays_its_test(save: Save) -> None:
    """What stands in it and in train as well is in the test alone."""
    save("nyu-mll__glue__qqp", [("how?", "why?", 0), ("left 55", "right 55", 1)])
    save("nyu-mll__glue__mrpc", train=[*MRPC[:30], *MRPC[55:58]], validation=MRPC[30:40], test=MRPC[40:])
    task = make_task("hub/mrpc-16")
    names = ("different", "same")
    assert rows_of(task, task.test) == [(left, right, names[label]) for left, right, label in MRPC[40:]]
    others = [*rows_of(task, task.train), *rows_of(task, task.dev), *rows_of(task, task.select)]
    assert sorted(others) == sorted((left, right, names[label]) for left, right, label in MRPC[:40])
    assert [len(texts) for texts in (task.train, task.dev, task.select)] == [16, 12, 12]
    assert {name: found.repeated for name, found in task.found.items()} == {"mrpc test": 0, "mrpc": 3, "qqp": 1}


def test_a_target_without_a_test_split_is_split_as_a_whole(sentiment: Save) -> None:
    assert [len(texts) for texts in splits_of(make_task("hub/cr-16"))] == [16, 11, 11, 19]
    sentiment("SetFit__CR", train=CR[:40], test=CR[40:])
    assert [len(texts) for texts in splits_of(make_task("hub/cr-16"))] == [16, 12, 12, 20]


def test_set_that_was_saved_without_splits_is_taken_whole(sentiment: Save, tmp_path: Path) -> None:
    folder = tmp_path / "nyu-mll__glue__sst2"
    saved = dataset_of(folder.name, [("a mess", 0), ("a gem", 1), ("a joke", 0)]).select([2, 1])
    shutil.rmtree(folder)
    saved.save_to_disk(str(folder))
    task = make_task("hub/cr-16")
    assert rows_of(task, task.sources["sst2"]) == [("a joke", "negative"), ("a gem", "positive")]


@pytest.mark.parametrize("target", ["books", "electronics", "kitchen", "toys", "apparel"])
def test_each_amazon_domain_in_turn_is_the_target(save: Save, target: str) -> None:
    save(MARC, reviews([*hub_sets.CATEGORIES.values(), "shoes"]))
    task = make_task(f"hub/amazon-{target}-16")
    others = [name for name in hub_sets.CATEGORIES if name != target]
    assert task.domains == (target, *others)
    clear = [n for n in range(ROWS) if n % 5 != 2]  # three stars are left out
    rows = {
        name: [(f"{category} en {n}", STARS[n % 5 + 1]) for n in clear]
        for name, category in hub_sets.CATEGORIES.items()
    }
    assert {name: rows_of(task, texts) for name, texts in task.sources.items()} == {name: rows[name] for name in others}
    assert set(target_of(task)) <= set(rows[target])


def test_clinc_is_about_domains_that_other_sets_share(save: Save) -> None:
    names = INTENTS.names
    save("clinc__clinc_oos__small", [(f"{names[n % 9]} {n}", n % 9) for n in range(180)])
    scenarios = ["iot", "email", "takeaway", "transport", "weather", "general", "calendar"]
    save("mteb__amazon_massive_scenario__en", [(str(n), s, s, f"m {s}") for n, s in enumerate(scenarios)])
    save("mteb__mtop_domain__en", [(n, n, s, f"t {s}") for n, s in enumerate(["news", "recipes", "music"])])
    save("mteb__banking77", train=[("my card", 11, "card_arrival")], test=[("my pin", 3, "change_pin")])
    task = make_task("hub/clinc-domains-64")
    domain = {
        "smart_home": "home",
        "recipe": "kitchen_and_dining",
        "routing": "banking",
        "apr": "banking",
        "uber": "auto_and_commute",
        "date": "utility",
        "greeting": "small_talk",
    }
    target = target_of(task)
    assert {name for _, name in target} == set(task.labels)
    assert {text.split()[0]: name for text, name in target} == domain
    assert rows_of(task, task.sources["massive"]) == [
        ("m iot", "home"),
        ("m takeaway", "kitchen_and_dining"),
        ("m transport", "auto_and_commute"),
        ("m weather", "utility"),
        ("m general", "small_talk"),
        ("m calendar", "home"),
    ]
    assert rows_of(task, task.sources["mtop"]) == [("t recipes", "kitchen_and_dining"), ("t music", "home")]
    assert rows_of(task, task.sources["banking77"]) == [("my card", "banking"), ("my pin", "banking")]


def test_clinc_domains_have_15_intents_each() -> None:
    intents = {name: labels.split() for name, labels in hub_sets.INTENTS.items()}
    assert {name: len(labels) for name, labels in intents.items()} == {
        "banking": 30,  # with credit_cards
        "kitchen_and_dining": 15,
        "home": 15,
        "auto_and_commute": 15,
        "utility": 15,
        "small_talk": 15,
    }
    assert len({label for labels in intents.values() for label in labels}) == 105


def test_big_sets_are_drawn_from_by_a_fixed_seed(sentiment: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LIMIT", 50)
    sentiment("nyu-mll__glue__sst2", [(f"phrase {n}", n % 2) for n in range(400)])
    task, again = make_task("hub/cr-16"), make_task("hub/cr-16")
    texts = task.sources["sst2"]
    number = [int(text.split()[1]) for text in texts.text]
    assert len(number) == len(set(number)) == 50
    assert max(number) > 300
    assert texts.label.tolist() == [n % 2 for n in number]
    assert texts.text == again.sources["sst2"].text


def test_limit_holds_after_the_filter(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LIMIT", ROWS)
    save(MARC, reviews([*hub_sets.CATEGORIES.values(), "shoes"]))
    task = make_task("hub/amazon-toys-16")
    assert {len(texts) for texts in task.sources.values()} == {ROWS * 4 // 5}


def test_splits_are_disjoint_and_no_text_stands_in_two_domains(sentiment: Save) -> None:
    sentiment("nyu-mll__glue__sst2", [("GADGET  3", 0), ("a gem", 1), ("A gem", 0), ("gadget 4 ", 1)])
    sentiment("cornell-movie-review-data__rotten_tomatoes", [("a  GEM", 0), ("so fine", 1)])
    task = make_task("hub/cr-16")
    assert task.sources["sst2"].text == ("a gem",)
    assert task.sources["mr"].text == ("so fine",)
    target = target_of(task)
    assert len(set(target)) == len(target) == sum(map(len, (task.train, task.dev, task.select, task.test)))
    assert len(task.train) == 16


def test_shots_share_dev_select_and_test(sentiment: Save) -> None:
    sentiment("SetFit__CR", [(f"gadget {n}", n % 2, "") for n in range(2400)])
    few, many = make_task("hub/cr-16"), make_task("hub/cr-256")
    for split in ("dev", "select", "test"):
        assert getattr(few, split).text == getattr(many, split).text
    assert set(few.train.text) < set(many.train.text)


def test_ids_are_tasks_by_shots_and_each_has_an_outline() -> None:
    ids = hub.ids()
    assert len(ids) == len(set(ids)) == 9 * 4
    assert {"hub/scitail-100", "hub/mrpc-100", "hub/amazon-books-64", "hub/cr-64", "hub/clinc-domains-256"} <= set(ids)
    domains = {task_id: outline(task_id).domains for task_id in ids}
    assert domains["hub/cr-64"] == ("cr", "sst2", "mr")
    assert domains["hub/amazon-toys-16"] == ("toys", "books", "electronics", "kitchen", "apparel")
    assert domains["hub/clinc-domains-100"] == ("clinc", "massive", "mtop", "banking77")
    assert len({frozenset(names) for names in domains.values()}) == 5


@pytest.mark.parametrize("name", hub_sets.TASKS)
def test_domains_of_a_task_share_classes_and_sides(name: str) -> None:
    task = hub_sets.TASKS[name]
    classes = {domain: set(hub_set.labels.values()) - {None} for domain, hub_set in task.domains.items()}
    assert classes[task.target] == set(task.labels)
    assert all(each <= set(task.labels) for each in classes.values())
    assert set.union(*(classes[domain] for domain in classes if domain != task.target)) == set(task.labels)
    assert len({len(hub_set.sides) for hub_set in task.domains.values()}) == 1


def test_without_a_folder_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("L2A_DATASETS", raising=False)
    rows: dict[str | None, Rows] = {"mrpc": MRPC, "qqp": [("how?", "why?", 0)]}

    def load(path: str, name: str | None) -> datasets.DatasetDict:
        data = dataset_of(f"nyu-mll__glue__{name}", rows[name])
        assert path == "nyu-mll/glue"
        return datasets.DatasetDict({"train": data, "validation": data.select([]), "test": data.select([0])})

    monkeypatch.setattr(datasets, "load_dataset", load)
    task = make_task("hub/mrpc-16")
    assert rows_of(task, task.test) == [("left 0", "right 0", "different")]
    assert rows_of(task, task.sources["qqp"]) == [("how?", "why?", "different")]


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("Couldn't reach 'nyu-mll/glue' on the Hub (ConnectError)\nmore")

    monkeypatch.delenv("L2A_DATASETS", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    assert message_of("hub/mrpc-16", tmp_path) == (
        "nyu-mll/glue mrpc can't be loaded from the Hugging Face hub (Couldn't reach 'nyu-mll/glue' on the Hub "
        "(ConnectError)): set L2A_DATASETS to a folder that holds it as nyu-mll__glue__mrpc"
    )


def test_folder_that_is_missing(paraphrase: Save, tmp_path: Path) -> None:
    (tmp_path / "nyu-mll__glue__qqp").rename(tmp_path / "nyu-mll_glue_qqp")
    assert message_of("hub/mrpc-16", tmp_path) == (
        "L2A_DATASETS lacks the folder nyu-mll__glue__qqp for nyu-mll/glue qqp: did you mean 'nyu-mll_glue_qqp'?"
    )
    assert message_of("hub/cr-16", tmp_path) == (
        "L2A_DATASETS lacks the folder SetFit__CR for SetFit/CR: save it there with save_to_disk, or unset L2A_DATASETS"
    )


def test_folder_that_is_no_data_set(paraphrase: Save, tmp_path: Path) -> None:
    (tmp_path / "nyu-mll__glue__qqp" / "state.json").unlink()
    message = message_of("hub/mrpc-16", tmp_path)
    assert message == (
        "nyu-mll__glue__qqp is not a whole folder of Dataset.save_to_disk: there is no nyu-mll__glue__qqp/state.json"
    )


def test_split_that_is_missing(paraphrase: Save, tmp_path: Path) -> None:
    paraphrase("nyu-mll__glue__mrpc", train=MRPC, test=MRPC)
    message = message_of("hub/mrpc-16", tmp_path)
    assert message == "unknown split of nyu-mll/glue mrpc 'validation': valid are train, test"


def test_column_that_is_missing(paraphrase: Save, tmp_path: Path) -> None:
    folder = tmp_path / "nyu-mll__glue__qqp"
    shutil.rmtree(folder)
    renamed = dataset_of(folder.name, [("how?", "why?", 0)]).rename_column("question2", "question_2")
    renamed.save_to_disk(str(folder))
    assert message_of("hub/mrpc-16", tmp_path) == (
        "unknown column of nyu-mll/glue qqp 'question2': did you mean 'question_2'? "
        "valid are question1, question_2, label"
    )


def test_label_that_the_task_does_not_name(sentiment: Save, tmp_path: Path) -> None:
    sentiment("SetFit__CR", [*CR, ("an odd one", 2, "mixed")])
    assert message_of("hub/cr-16", tmp_path) == "unknown label in column 'label' of SetFit/CR '2': valid are 0, 1"


def test_number_without_a_class(paraphrase: Save, tmp_path: Path) -> None:
    folder = tmp_path / "nyu-mll__glue__qqp"
    sound = dataset_of(folder.name, [("how?", "why?", 0)])
    table = sound.data.table.set_column(2, "label", pa.array([2]))
    shutil.rmtree(folder)
    datasets.Dataset(pa.table(table).replace_schema_metadata(sound.data.schema.metadata)).save_to_disk(str(folder))
    assert message_of("hub/mrpc-16", tmp_path) == (
        "nyu-mll/glue qqp: there is no class 2: classes are 0 to 1 (not_duplicate, duplicate)"
    )


def test_rows_without_a_label_are_left_out_and_counted(paraphrase: Save, caplog: pytest.LogCaptureFixture) -> None:
    paraphrase("nyu-mll__glue__qqp", [("how?", "why?", 0), ("who?", "whom?", -1), ("a?", "b?", None)])
    task = make_task("hub/mrpc-16")
    assert rows_of(task, task.sources["qqp"]) == [("how?", "why?", "different")]
    assert caplog.messages == ["nyu-mll/glue qqp: 2 of 3 rows have no label and are left out"]


def test_damaged_file_is_named(paraphrase: Save, tmp_path: Path) -> None:
    file = tmp_path / "nyu-mll__glue__qqp" / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:-100])
    message = message_of("hub/mrpc-16", tmp_path)
    assert message.startswith(f"nyu-mll__glue__qqp/{file.name} is not a sound file of Dataset.save_to_disk: ")


def test_category_that_is_missing(save: Save, tmp_path: Path) -> None:
    save(MARC, reviews(["books", "electronics", "kitchen"]))
    assert message_of("hub/amazon-kitchen-16", tmp_path) == (
        f"unknown value of column 'product_category' of {MARC.replace('__', '/')} 'book': "
        "did you mean 'books'? valid are books, electronics, kitchen"
    )


def test_set_of_which_no_row_is_left(sentiment: Save, tmp_path: Path) -> None:
    sentiment("nyu-mll__glue__sst2", [("", 1), (" ", 0)])
    assert message_of("hub/cr-16", tmp_path) == (
        "nyu-mll/glue sst2: no row is left, valid labels in column 'label' are negative, positive"
    )


def test_labels_are_codes_of_the_right_type(sentiment: Save) -> None:
    label = make_task("hub/cr-16").sources["mr"].label
    assert (label.dtype, label.tolist()) == (np.int64, [0, 1])
