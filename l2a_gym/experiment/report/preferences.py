"""Which candidates a selector prefers, read off their table alone, so that it can be said of every selector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from l2a_gym.augment.config import SOURCE, UNLABELLED
from l2a_gym.experiment.report.wording import number, together
from l2a_gym.wording import printable

TEACHERS = {"few_shot": "few-shot", "all_data": "all-data", "cross_fitted": "cross-fitted"}
"""Prefixes of the table's columns -> the teachers' names."""
CLEAR, NAMED = 0.2, 7
"""The least standardised difference that is put into words (Cohen calls it small), and how many are at most."""
ALIKE = 0.01
"""Weights of a smaller standard deviation are all alike."""
GROUPS = {"domain": "domain {}", "label": "class {}", "operator": "texts made by {}"}
"""Columns whose every value is a property -> its name."""
OPERATORS = {SOURCE: "source texts", UNLABELLED: "texts without a label"}


@dataclass(frozen=True)
class Preference:
    """How the candidates above the mean weight differ from the others in one property.

    Attributes:
        name: of the property.
        kind: what the selector does with texts that have it: a teacher ``shares`` or ``doubts`` their label, and they
            are preferred; it ``prefers`` them; or it ``passes`` over them. What is only ``shown`` is no reason to
            prefer a text.
        words: these texts; of ``shares`` and ``doubts``, the teacher.
        heavy: the property's mean among the candidates above the mean weight.
        light: among the others.
        difference: heavy - light, in standard deviations over all candidates.
    """

    name: str
    kind: Literal["shares", "doubts", "prefers", "passes", "shown"]
    words: str
    heavy: float
    light: float
    difference: float

    @property
    def digits(self) -> int:
        """Decimals that tell the two means apart: 3 where 2 show them equal."""
        return 3 if number(self.heavy) == number(self.light) else 2


def preferences(table: pd.DataFrame) -> tuple[Preference, ...]:
    """In all properties that the table shows, the clearest first; none where all weights are alike.

    Of a column with two values, only the preferred one is a property.

    Args:
        table: as :func:`~l2a_gym.experiment.candidates.candidates` makes it.
    """
    if not table["weight"].std(ddof=0) >= ALIKE:
        return ()
    heavy = table["weight"] > table["weight"].mean()
    return tuple(sorted(_properties(table, heavy), key=lambda each: -abs(each.difference)))


def rule(found: Sequence[Preference]) -> str:
    """The clearest preferences, as what the selector does."""
    if not found:
        return "weighs all texts alike"
    clear = [each for each in found if abs(each.difference) >= CLEAR and each.kind != "shown"][:NAMED]
    words = {kind: [each.words for each in clear if each.kind == kind] for kind in ("shares", "doubts", "passes")}
    liked = [
        *(_label(words["shares"], "finds likely", "find likely")),
        *(_label(words["doubts"], "doubts", "doubt")),
        *(each.words for each in clear if each.kind == "prefers"),
    ]
    if len(liked) > 1:
        liked[-1] = f"and {liked[-1]}"  # phrases with an "and" of their own
    prefers = [f"prefers {', '.join(liked)}"] if liked else []
    passes = [f"passes over {together(words['passes'])}"] if words["passes"] else []
    if not clear:
        return "clearly prefers no kind of text: those above its mean weight are much like the others"
    return "; it ".join([*prefers, *passes])


def _label(teachers: Sequence[str], one: str, several: str) -> Iterator[str]:
    if teachers:
        yield f"texts whose label the {together(teachers)} teacher{'s' * (len(teachers) > 1)} " + (
            one if len(teachers) == 1 else several
        )


def _properties(table: pd.DataFrame, heavy: pd.Series) -> Iterator[Preference]:
    for prefix, teacher in TEACHERS.items():
        measured = _measured(table[f"{prefix}_probability"], heavy)
        if measured:
            kind: Literal["shares", "doubts"] = "shares" if measured[-1] > 0 else "doubts"
            yield Preference(f"probability of the label by the {teacher} teacher", kind, teacher, *measured)
    if measured := _measured(table["agreement"], heavy):
        # It turns with the student: one that is too sure of itself is mended by wrong labels, too.
        yield Preference("agreement with dev's labels", "shown", "", *measured)
    if measured := _measured(table["text"].str.split().str.len(), heavy):
        yield Preference("words of the text", "prefers", "long texts" if measured[-1] > 0 else "short texts", *measured)
    for column, name in GROUPS.items():
        values = table[column].unique()
        for value in values:
            measured = _measured(table[column] == value, heavy)
            if measured and (measured[-1] > 0 or len(values) > 2):
                words = OPERATORS.get(value, name.format(printable(value)))
                yield Preference(f"share of {words}", _kind(value, measured[-1]), words, *measured)


def _kind(value: str, difference: float) -> Literal["prefers", "passes", "shown"]:
    """Texts of the data are the bulk of what is kept, so a smaller share of them does not pass them over."""
    return "prefers" if difference > 0 else "shown" if value == SOURCE else "passes"


def _measured(values: pd.Series, heavy: pd.Series) -> tuple[float, float, float] | None:
    """Both means and their standardised difference; None where all values are the same."""
    values = values.astype(float)
    deviation = float(values.std(ddof=0))
    if deviation == 0:
        return None
    means = float(values[heavy].mean()), float(values[~heavy].mean())
    return *means, (means[0] - means[1]) / deviation
