"""Which public data sets make up the hub's tasks: inference, paraphrase, sentiment and topics of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from l2a_gym.errors import unknown

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
        splits: these are joined, except that the split test of a target stays its test.
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

    @property
    def columns(self) -> list[str]:
        """All columns that are read."""
        return [*self.sides, self.label, *self.where]

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
    """

    target: str
    labels: tuple[str, ...]
    domains: Mapping[str, HubSet]


def _same(labels: tuple[str, ...]) -> dict[str, str | None]:
    return {label: label for label in labels}


def _by_class(members: Mapping[str, str]) -> dict[str, str | None]:
    """Label map from class -> its labels, with spaces between; all other labels are left out."""
    return {OTHERS: None, **{label: name for name, labels in members.items() for label in labels.split()}}


ALL = ("train", "validation", "test")

ENTAILMENT = ("entails", "neutral")
# SciTail does not tell a contradiction from what is neutral.
THREE_TO_TWO: dict[str, str | None] = {"entailment": "entails", "neutral": "neutral", "contradiction": "neutral"}
NLI = {
    "scitail": HubSet(
        "allenai/scitail", "tsv_format", _same(ENTAILMENT), text="premise", pair="hypothesis", splits=ALL
    ),
    "mnli": HubSet("nyu-mll/glue", "mnli", THREE_TO_TWO, text="premise", pair="hypothesis"),
    "snli": HubSet("stanfordnlp/snli", None, THREE_TO_TWO, text="premise", pair="hypothesis"),
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
    "scitail": HubTask("scitail", ENTAILMENT, NLI),
    "mrpc": HubTask("mrpc", PARAPHRASE, PAIRS),
    "cr": HubTask("cr", SENTIMENT, REVIEWS),
    "clinc-domains": HubTask("clinc", tuple(INTENTS), REQUESTS),
    **{f"amazon-{domain}": HubTask(domain, SENTIMENT, AMAZON) for domain in AMAZON},
}
"""Name -> task; an id adds the shots."""
