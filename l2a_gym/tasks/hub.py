"""Tasks from public data sets of the Hugging Face hub: inference, paraphrase, sentiment and topics of requests.

Nothing is loaded before a task is made. Where ``L2A_DATASETS`` names a folder of saved data sets, the hub is not asked.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2a_gym.errors import UserError, check_choice, unknown
from l2a_gym.tasks.fewshot import few_shot_task
from l2a_gym.tasks.normal import normal_form
from l2a_gym.tasks.task import Budget, Outline, Task, Texts

if TYPE_CHECKING:
    import datasets

SHOTS = (16, 64, 100, 256)
LIMIT = 20_000
"""At most this many rows of a set become Python objects: some sets have half a million. It is five times the 4,000
texts that are drawn from a source, because labels and duplicates leave rows out."""
OTHERS = "*"
"""Key of a label map for all labels that it does not name."""


@dataclass(frozen=True)
class HubSet:
    """One data set of the hub, read as the labelled texts of one domain.

    Attributes:
        path: its name on the hub.
        name: its configuration, where it has several.
        labels: a label as the set writes it (the class name where it has one, else the value as text) -> the task's
            class, or None to leave the row out; the key :data:`OTHERS` stands for all other labels.
        text: column of the text.
        pair: column of the second text, for pairs.
        label: column of the label.
        splits: these are joined.
        where: column -> the value that a row must have there.
    """

    path: str
    name: str | None
    labels: Mapping[str, str | None]
    text: str = "text"
    pair: str | None = None
    label: str = "label"
    splits: tuple[str, ...] = ("train",)
    where: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What errors call the set."""
        return f"{self.path} {self.name}" if self.name else self.path

    @property
    def folder(self) -> str:
        """Where it lies in ``L2A_DATASETS``."""
        return "__".join([*self.path.split("/"), *([self.name] if self.name else [])])

    @property
    def sides(self) -> list[str]:
        """The columns of the text, or of both texts."""
        return [self.text, self.pair] if self.pair else [self.text]

    def class_of(self, written: str) -> str | None:
        """The task's class for a label of the set; None: the row is left out.

        Raises:
            UserError: the label map has no such label.
        """
        key = written if written in self.labels else OTHERS
        if key not in self.labels:
            raise unknown(f"label in column {self.label!r} of {self.title}", written, self.labels)
        return self.labels[key]


@dataclass(frozen=True)
class HubTask:
    """Domains that share their classes.

    Attributes:
        target: the domain that has few labels.
        labels: the class names.
        domains: domain name -> its data set; all but the target are sources.
        max_length: texts are cut at this many tokens.
    """

    target: str
    labels: tuple[str, ...]
    domains: Mapping[str, HubSet]
    max_length: int = 48


def _same(labels: tuple[str, ...]) -> dict[str, str | None]:
    return {label: label for label in labels}


def _by_class(members: Mapping[str, str]) -> dict[str, str | None]:
    """Label map from class -> its labels, with spaces between; all other labels are left out."""
    return {OTHERS: None, **{label: name for name, labels in members.items() for label in labels.split()}}


ALL = ("train", "validation", "test")

ENTAILMENT = ("entails", "neutral")
# SciTail does not tell a contradiction from what is neutral.
THREE_TO_TWO: dict[str, str | None] = {"entailment": "entails", "neutral": "neutral", "contradiction": "neutral"}
NO_AGREEMENT: dict[str, str | None] = {"-1": None}
NLI = {
    "scitail": HubSet(
        "allenai/scitail", "tsv_format", _same(ENTAILMENT), text="premise", pair="hypothesis", splits=ALL
    ),
    "mnli": HubSet("nyu-mll/glue", "mnli", THREE_TO_TWO, text="premise", pair="hypothesis"),
    "snli": HubSet("stanfordnlp/snli", None, THREE_TO_TWO | NO_AGREEMENT, text="premise", pair="hypothesis"),
}

PARAPHRASE = ("different", "same")
EQUIVALENT = {"not_equivalent": "different", "equivalent": "same"}
DUPLICATE = {"not_duplicate": "different", "duplicate": "same"}
PAIRS = {
    "mrpc": HubSet("nyu-mll/glue", "mrpc", EQUIVALENT, text="sentence1", pair="sentence2", splits=ALL),
    "qqp": HubSet("nyu-mll/glue", "qqp", DUPLICATE, text="question1", pair="question2"),
}

SENTIMENT = ("negative", "positive")
REVIEWS = {
    "cr": HubSet("SetFit/CR", None, {"0": "negative", "1": "positive"}, splits=("train", "test")),
    "sst2": HubSet("nyu-mll/glue", "sst2", _same(SENTIMENT), text="sentence"),
    "mr": HubSet("cornell-movie-review-data/rotten_tomatoes", None, {"neg": "negative", "pos": "positive"}, splits=ALL),
}

STARS = {"1": "negative", "2": "negative", "3": None, "4": "positive", "5": "positive"}
CATEGORIES = {"books": "book", "electronics": "electronics", "kitchen": "kitchen", "toys": "toy", "apparel": "apparel"}
# A copy of the Multilingual Amazon Reviews Corpus: the original's page on the hub holds no data any more.
AMAZON = {
    domain: HubSet(
        "srvmishra832/multilingual-amazon-reviews-6-languages",
        None,
        STARS,
        text="review_body",
        label="stars",
        where={"language": "en", "product_category": category},
    )
    for domain, category in CATEGORIES.items()
}

# CLINC150 has ten domains of 15 intents each. No intent stands in two of them, so that one domain can't teach another
# its intents. What can be transferred is which domain a request belongs to: the scenarios of MASSIVE and MTOP and the
# bank of BANKING77 are such domains too. Banking and credit cards are one class, because BANKING77 does not part them;
# travel, work and meta are left out, because no source covers them.
INTENTS = {
    "banking": """freeze_account routing pin_change bill_due pay_bill account_blocked interest_rate min_payment
        bill_balance transfer order_checks balance spending_history transactions report_fraud
        replacement_card_duration expiration_date damaged_card improve_credit_score report_lost_card card_declined
        credit_limit_change apr redeem_rewards credit_limit rewards_balance application_status credit_score new_card
        international_fees""",
    "kitchen_and_dining": """food_last confirm_reservation how_busy ingredients_list calories nutrition_info recipe
        restaurant_reviews restaurant_reservation meal_suggestion restaurant_suggestion cancel_reservation
        ingredient_substitution cook_time accept_reservations""",
    "home": """what_song play_music todo_list_update reminder reminder_update calendar_update order_status
        update_playlist shopping_list calendar next_song order todo_list shopping_list_update smart_home""",
    "auto_and_commute": """current_location oil_change_when oil_change_how uber traffic tire_pressure
        schedule_maintenance gas mpg distance directions last_maintenance gas_type tire_change jump_start""",
    "utility": """weather alarm date find_phone share_location timer make_call calculator definition
        measurement_conversion flip_coin spelling time roll_dice text""",
    "small_talk": """who_made_you meaning_of_life who_do_you_work_for do_you_have_pets what_are_your_hobbies fun_fact
        what_is_your_name where_are_you_from goodbye thank_you greeting tell_joke are_you_a_bot how_old_are_you
        what_can_i_ask_you""",
}
SCENARIOS = {
    "kitchen_and_dining": "cooking takeaway",
    "home": "iot music play lists calendar",
    "auto_and_commute": "transport",
    "utility": "alarm datetime weather",
    "small_talk": "general",
}
MTOP = {
    "kitchen_and_dining": "recipes",
    "home": "music reminder",
    "utility": "alarm calling messaging timer weather",
}

REQUESTS = {
    "clinc": HubSet("clinc/clinc_oos", "small", _by_class(INTENTS), label="intent", splits=ALL),
    "massive": HubSet("mteb/amazon_massive_scenario", "en", _by_class(SCENARIOS), label="label_text", splits=ALL),
    "mtop": HubSet("mteb/mtop_domain", "en", _by_class(MTOP), label="label_text", splits=ALL),
    "banking77": HubSet("mteb/banking77", None, {OTHERS: "banking"}, label="label_text", splits=("train", "test")),
}

TASKS = {
    "scitail": HubTask("scitail", ENTAILMENT, NLI, max_length=96),
    "mrpc": HubTask("mrpc", PARAPHRASE, PAIRS, max_length=96),
    "cr": HubTask("cr", SENTIMENT, REVIEWS),
    "clinc-domains": HubTask("clinc", tuple(INTENTS), REQUESTS),
    **{f"amazon-{domain}": HubTask(domain, SENTIMENT, AMAZON, max_length=96) for domain in AMAZON},
}
"""Name -> task; an id adds the shots."""


def ids() -> list[str]:
    """All task ids of this family: task x shots."""
    return [f"hub/{name}-{shots}" for name, shots in product(TASKS, SHOTS)]


def make(task_id: str) -> Task:
    """The task of an id that :func:`ids` lists.

    Raises:
        UserError: a set can't be loaded, or lacks a split, column or value that the task names, or has a label that
            the task doesn't name.
    """
    name, shots = _parts(task_id)
    hub_task = TASKS[name]
    domains = {domain: _texts(hub_set, hub_task.labels) for domain, hub_set in hub_task.domains.items()}
    task = few_shot_task(task_id, domains, hub_task.target, hub_task.labels, shots=shots)
    return replace(task, max_length=hub_task.max_length)


def outline(task_id: str) -> Outline:
    """The domains and the budget of an id that :func:`ids` lists; nothing is loaded."""
    task = TASKS[_parts(task_id)[0]]
    return Outline((task.target, *(name for name in task.domains if name != task.target)), Budget())


def _parts(task_id: str) -> tuple[str, int]:
    name, shots = task_id.removeprefix("hub/").rsplit("-", 1)
    return name, int(shots)


def _texts(hub_set: HubSet, labels: tuple[str, ...]) -> Texts:
    data = _load(hub_set)
    names = getattr(data.features[hub_set.label], "names", [])  # of a ClassLabel, whose values are numbers
    kept = []
    for row in _rows(hub_set, data):
        written = row[hub_set.label]
        name = hub_set.class_of(names[written] if written in range(len(names)) else str(written))
        sides = [str(row[side] or "").strip() for side in hub_set.sides]
        if name is not None and all(map(normal_form, sides)):  # a few questions of QQP are empty
            kept.append((sides, labels.index(name)))
    if not kept:
        valid = ", ".join(hub_set.labels)
        raise UserError(f"{hub_set.title}: no row is left, valid labels in column {hub_set.label!r} are {valid}")
    return Texts(
        text=tuple(sides[0] for sides, _ in kept),
        label=np.array([code for _, code in kept], dtype=np.int64),
        pair=tuple(sides[1] for sides, _ in kept) if hub_set.pair else None,
    )


def _rows(hub_set: HubSet, data: datasets.Dataset) -> list[dict[str, Any]]:
    """The rows that ``where`` lets pass, in their order; of more than :data:`LIMIT`, a draw with a fixed seed."""
    import pyarrow.compute as pc

    table = data.with_format("arrow")[:]
    for column, value in hub_set.where.items():
        values = table[column].unique().to_pylist()
        if value not in values:
            raise unknown(f"value of column {column!r} of {hub_set.title}", value, map(str, values))
        table = table.filter(pc.equal(table[column], value))
    drawn = np.random.default_rng(0).permutation(len(table))[:LIMIT]
    return table.take(np.sort(drawn)).to_pylist()


def _load(hub_set: HubSet) -> datasets.Dataset:
    """The wanted splits and columns, as one data set on disk."""
    import datasets

    root = os.environ.get("L2A_DATASETS")
    saved = _from_disk(hub_set, Path(root)) if root else _from_hub(hub_set)
    parts = [saved]  # a data set that was saved without its splits is taken whole
    if isinstance(saved, datasets.DatasetDict):
        for split in hub_set.splits:
            check_choice(f"split of {hub_set.title}", split, saved)
        parts = [saved[split] for split in hub_set.splits]
    columns = [*hub_set.sides, hub_set.label, *hub_set.where]
    for part, column in product(parts, columns):
        check_choice(f"column of {hub_set.title}", column, part.column_names)
    return datasets.concatenate_datasets([part.select_columns(columns) for part in parts])


def _from_hub(hub_set: HubSet) -> datasets.DatasetDict:
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        return datasets.load_dataset(hub_set.path, hub_set.name)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"{hub_set.title} can't be loaded from the Hugging Face hub ({_first_line(error)}): "
            f"set L2A_DATASETS to a folder that holds it as {hub_set.folder}"
        ) from error


def _from_disk(hub_set: HubSet, root: Path) -> datasets.DatasetDict | datasets.Dataset:
    import datasets
    import pyarrow as pa

    folder = root / hub_set.folder
    if not folder.is_dir():
        near = difflib.get_close_matches(folder.name, [other.name for other in root.glob("*")], n=1)
        advice = f"did you mean {near[0]!r}?" if near else "save it there with save_to_disk, or unset L2A_DATASETS"
        raise UserError(f"L2A_DATASETS lacks the folder {folder} for {hub_set.title}: {advice}")
    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise UserError(f"{folder} is not a whole folder of save_to_disk: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
