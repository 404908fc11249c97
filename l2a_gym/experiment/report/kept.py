"""How much of its candidates a run keeps: of all, of each domain and class, and of wrong labels."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from l2a_gym.augment.config import SOURCE
from l2a_gym.experiment.report.wording import number, per_cent, together
from l2a_gym.wording import printable

APART = 0.01
"""A smaller difference between domains is not worth a word."""
NAMED = 7
"""At most so many classes or domains are named."""
NEARLY_ALL = 0.95
"""Where so many of all texts are kept, it says nothing that all of a domain are."""
GROUPS = {"label": ("class", "classes"), "domain": ("domain", "domains")}
"""Columns of groups that may be kept or dropped whole -> what one and several are called."""


@dataclass(frozen=True)
class Share:
    """A domain or class before and after the choice: its number of texts and share of all; those kept; its weight."""

    name: str
    texts: int
    before: float
    kept: int
    after: float


def kept(table: pd.DataFrame) -> str:
    """How many texts have a weight, and of which domain most; where none stands out, which has the highest weight."""
    whole, left = len(table), int(table["kept"].sum())
    some = f"{left:,} of {whole:,} texts ({per_cent(left / whole)})"
    said = f"{f'All {whole:,} texts' if left == whole else some} get a weight above 0 and are kept"
    rates, weights = (table.groupby("domain")[name].mean() for name in ("kept", "weight"))
    if rates.max() - rates.min() >= APART:
        most, least = rates.idxmax(), rates.idxmin()
        extremes = f"most of {printable(most)} ({per_cent(rates[most])}), fewest of {printable(least)}"
        return f"{said}: {extremes} ({per_cent(rates[least])})."
    if weights.max() - weights.min() >= APART:
        most = weights.idxmax()
        return f"{said}; {printable(most)} has the highest mean weight ({number(weights[most])})."
    return f"{said}, from all domains alike."


def wrong_labels(table: pd.DataFrame) -> str:
    """Which share of the source texts, of those kept and of their weight has a label that is known to be wrong.

    Empty where nothing is known, or nothing is kept.
    """
    if "wrong" not in table:
        return ""
    sources = table[table["operator"] == SOURCE]
    wrong, kept, weight = (sources[name] for name in ("wrong", "kept", "weight"))
    if not kept.any():
        return ""
    of_weight = per_cent(float((weight * wrong).sum() / weight.sum()))
    shares = f"{per_cent(wrong.mean())} of the source texts, {per_cent(wrong[kept].mean())} of those kept"
    return f"Labels known to be wrong: {shares}, {of_weight} of the weight."


def whole_groups(table: pd.DataFrame) -> str:
    """Of which classes and domains every text is kept, or none, as what the selector does; empty where of none."""
    return "; it ".join(filter(None, (_whole(table, column) for column in GROUPS)))


def _whole(table: pd.DataFrame, column: str) -> str:
    rate = table.groupby(column)["kept"].mean()
    whole = rate.index[(rate == 1) & (table["kept"].mean() < NEARLY_ALL)]
    none = rate.index[rate == 0]
    all_of, none_of = _names(column, [*whole]), _names(column, [*none])
    if rate.nunique() == 1 or not (all_of or none_of):
        return ""
    others = table["kept"][~table[column].isin([*whole, *none])]
    parts = [
        *([f"every text of {all_of}"] if all_of else []),
        *([f"none of {none_of}"] if none_of else []),
        *([f"{per_cent(others.mean())} of the others"] if len(others) else []),
    ]
    return f"keeps {together(parts)}"


def _names(column: str, names: list[str]) -> str:
    """``class good``, ``classes good and bad``, ``12 classes``."""
    one, several = GROUPS[column]
    if not names or len(names) > NAMED:
        return f"{len(names)} {several}" if names else ""
    return f"{one if len(names) == 1 else several} {together(map(printable, names))}"


def shares(table: pd.DataFrame, column: str) -> tuple[Share, ...]:
    """Of each value of a column, how much of all texts and of all weight it has; the most frequent first."""
    weight = table["weight"].sum()
    found = (
        Share(
            name=printable(name),
            texts=len(part),
            before=len(part) / len(table),
            kept=int(part["kept"].sum()),
            after=float(part["weight"].sum() / weight) if weight else 0.0,
        )
        for name, part in table.groupby(column)
    )
    return tuple(sorted(found, key=lambda each: -each.texts))
