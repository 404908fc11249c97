"""What a run's table of candidates says of its choice: what is kept, who is preferred, which labels are suspected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from l2a_gym.augment.config import SOURCE, UNLABELLED
from l2a_gym.experiment.report.kept import Share, kept, shares, whole_groups, wrong_labels
from l2a_gym.experiment.report.preferences import TEACHERS, Preference, preferences, rule
from l2a_gym.wording import printable, shortened

LENGTH = 200
"""Characters that are shown of a text."""
ENDS, SUSPECTS, GROUPS = 20, 50, 24
"""At most so many texts at each end of a group, suspected labels, and groups are shown."""
PLACE = r"^(.+) line \d+$"
"""The file's name in the place of a text."""
LEAST = 1e-6
"""The least probability above 0 in the table."""


@dataclass(frozen=True)
class Text:
    """A candidate as it is shown.

    Attributes:
        text: its beginning; of a pair both sides.
        place: where it stands in the data, or what made it of which text.
        weight: its mean weight, in [0, 1]; of a text that was not shown, that of one moment.
        shown: whether a final student was shown it.
        given: whether it is a text of the sources as it is.
        wrong: whether its label is known to be wrong.
    """

    text: str
    place: str
    weight: float
    shown: bool
    given: bool
    wrong: bool


@dataclass(frozen=True)
class Suspect(Text):
    """A source text whose label is probably wrong.

    Attributes:
        domain: where it comes from.
        label: the given label.
        likelier: what most teachers find likeliest.
        belief: geometric mean of the teachers' probabilities of the given label.
    """

    domain: str
    label: str
    likelier: str
    belief: float


@dataclass(frozen=True)
class Group:
    """The candidates of a domain and a class.

    Attributes:
        domain: of all of them.
        label: the same.
        texts: their number.
        kept: how many have a weight above 0.
        weight: their mean weight.
        highest: the heaviest first; of equals, those that were shown more often.
        lowest: the lightest first, likewise.
    """

    domain: str
    label: str
    texts: int
    kept: int
    weight: float
    highest: tuple[Text, ...]
    lowest: tuple[Text, ...]


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Attributes:
        kept: a sentence on how many texts are kept, and of which domain most.
        wrong: one on the share of labels known to be wrong, before and after; empty where nothing is known.
        rule: which texts are kept whole, and which are preferred.
        preferences: what it rests on.
        files: domain -> the file that all its texts are from, if there is one: their places are without its name.
        operators: names of those that made candidates.
        groups: by domain and class, the largest first.
        left_out: groups that are not shown.
        suspects: the likeliest first.
        suspected: how many there are, with those that are not shown.
        known: of those that are shown, how many are known to be wrong; None where nothing is known.
        shares: ``domain`` and ``class`` -> before and after, the largest first.
    """

    kept: str
    wrong: str
    rule: str
    preferences: tuple[Preference, ...]
    files: dict[str, str]
    operators: tuple[str, ...]
    groups: tuple[Group, ...]
    left_out: int
    suspects: tuple[Suspect, ...]
    suspected: int
    known: int | None
    shares: dict[str, tuple[Share, ...]]


def chosen(table: pd.DataFrame, algo: str) -> Chosen:
    """Look at a table of candidates, as :func:`~l2a_gym.experiment.candidates.candidates` makes it.

    Args:
        table: at least one row; its texts and names may hold anything.
        algo: name of the selector, for sentences.
    """
    files, found = one_file(table), preferences(table)
    table = table.assign(place=_places(table, files))
    doubted = suspected(table)
    sizes = table.groupby(["domain", "label"]).size().sort_values(ascending=False, kind="stable")
    suspects = tuple(_suspect(each) for each in _records(doubted[:SUSPECTS]))
    return Chosen(
        kept=kept(table),
        wrong=wrong_labels(table),
        rule=f"{algo} {'. It '.join(filter(None, [whole_groups(table), rule(found)]))}.",
        preferences=found,
        files={printable(domain): printable(file) for domain, file in files.items()},
        operators=tuple(map(printable, sorted(set(table["operator"]) - {SOURCE, UNLABELLED}))),
        groups=tuple(_group(table, *names) for names in sizes.index[:GROUPS]),
        left_out=max(0, len(sizes) - GROUPS),
        suspects=suspects,
        suspected=len(doubted),
        known=sum(each.wrong for each in suspects) if "wrong" in table else None,
        shares={"domain": shares(table, "domain"), "class": shares(table, "label")},
    )


def one_file(table: pd.DataFrame) -> dict[str, str]:
    """Domain -> the file of all its texts, or of those that they were made from; without domains that have several."""
    where = table["origin"].fillna(table["parent"]).dropna().astype("string").str.extract(PLACE, expand=False)
    files = where.groupby(table["domain"]).unique()
    return {domain: names[0] for domain, names in files.items() if len(names) == 1 and pd.notna(names[0])}


def _places(table: pd.DataFrame, files: Mapping[str, str]) -> list[str]:
    """Where each text stands in the data, or what made it of which; without the name of its domain's one file."""
    return [
        (row["origin"] or " ".join([row["operator"], *([f"of {row['parent']}"] if row["parent"] else [])])).replace(
            f"{files.get(row['domain'])} ", ""
        )
        for row in _records(table[["domain", "operator", "origin", "parent"]])
    ]


def suspected(table: pd.DataFrame) -> pd.DataFrame:
    """Source texts for which most teachers find one other label likeliest, with ``likelier`` and ``belief``.

    They are ranked by self-confidence: the less probable the given label, the further in front. Its probability is the
    geometric mean over the three teachers, so that one that is sure counts more than one that wavers. The few-shot and
    the cross-fitted teacher have learnt from no source; the all-data teacher has, and doubts too rarely.

    Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021, rank by the self-confidence of one model.
    """
    first, second, third = (table[f"{teacher}_prediction"] for teacher in TEACHERS)
    likelier = first.where((first == second) | (first == third), second.where(second == third))
    given = table[[f"{teacher}_probability" for teacher in TEACHERS]].to_numpy()
    belief = np.exp(np.log(given.clip(LEAST)).mean(axis=1))
    doubted = (table["operator"] == SOURCE) & likelier.notna() & (likelier != table["label"])
    found: pd.DataFrame = table.assign(likelier=likelier, belief=belief)[doubted]
    return found.sort_values("belief", kind="stable")


def _group(table: pd.DataFrame, domain: str, label: str) -> Group:
    part = table[(table["domain"] == domain) & (table["label"] == label)]
    ranked = part.sort_values(["weight", "times_shown"], ascending=False, kind="stable")
    high, low = min(ENDS, (len(part) + 1) // 2), min(ENDS, len(part) // 2)
    lightest = ranked[high:].sort_values("weight", kind="stable")  # no text stands at both ends
    return Group(
        domain=printable(domain),
        label=printable(label),
        texts=len(part),
        kept=int(part["kept"].sum()),
        weight=float(part["weight"].mean()),
        highest=tuple(Text(**_shown(each)) for each in _records(ranked[:high])),
        lowest=tuple(Text(**_shown(each)) for each in _records(lightest[:low])),
    )


def _suspect(row: dict[str, Any]) -> Suspect:
    domain, label, likelier = (printable(row[name]) for name in ("domain", "label", "likelier"))
    return Suspect(**_shown(row), domain=domain, label=label, likelier=likelier, belief=row["belief"])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row's fields of :class:`Text`."""
    text = " / ".join(row[name] for name in ("text", "pair") if name in row)
    return {
        "text": shortened(printable(" ".join(text.split())), LENGTH),
        "place": printable(row["place"]),
        "weight": row["weight"],
        "shown": row["times_shown"] > 0,
        "given": row["operator"] == SOURCE,
        "wrong": bool(row.get("wrong", False)),
    }


def _records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows, with None for what is missing."""
    yield from table.astype(object).where(table.notna(), None).to_dict("records")
