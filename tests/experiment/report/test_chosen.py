"""What the table of a run's candidates says, on made-up tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from l2a_gym.experiment.report.chosen import ENDS, GROUPS, LENGTH, chosen, suspected
from l2a_gym.experiment.report.kept import kept, shares, whole_groups, wrong_labels
from l2a_gym.experiment.report.preferences import Preference, preferences, rule

TEACHERS = ("few_shot", "all_data", "cross_fitted")


def table(**columns: Any) -> pd.DataFrame:
    """Source texts that are alike in whatever is not given: labelled ``good`` and believed by all teachers."""
    n = max(len(each) for each in columns.values() if isinstance(each, list))
    alike = {
        **{"origin": [f"a.csv line {i}" for i in range(n)], "parent": None, "text": "some text", "label": "good"},
        **{"domain": "movie", "operator": "source", "agreement": 0.0, "times_shown": 1, "weight": 1.0},
        **{f"{name}_probability": 0.9 for name in TEACHERS},
        **{f"{name}_prediction": "good" for name in TEACHERS},
    }
    found = pd.DataFrame(alike | columns, index=range(n))
    return found.assign(kept=found["weight"] > 0)


def named(found: tuple[Preference, ...]) -> dict[str, Preference]:
    return {each.name: each for each in found}


# The rule in words


def test_a_difference_is_in_standard_deviations() -> None:
    believed = [0.9, 0.7, 0.3, 0.1]
    found = preferences(table(weight=[1.0, 0.5, 0.0, 0.0], all_data_probability=believed))  # the mean weight is 0.375
    assert [each.name for each in found] == ["probability of the label by the all-data teacher"]
    assert (found[0].heavy, found[0].light) == pytest.approx((0.8, 0.2))
    assert found[0].difference == pytest.approx(0.6 / np.std(believed))
    assert rule(found) == "prefers texts whose label the all-data teacher finds likely"


def test_agreement_is_shown_and_not_put_into_words() -> None:
    found = preferences(table(weight=[1.0, 0.0], agreement=[-1.0, 1.0]))
    assert [(each.name, each.difference) for each in found] == [("agreement with dev's labels", -2.0)]
    assert rule(found).startswith("clearly prefers no kind of text")


def test_shares_of_domains_classes_and_operators() -> None:
    found = named(
        preferences(
            table(
                weight=[1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
                domain=["tweets", "tweets", "movie", "movie", "movie", "books"],
                operator=["swap", "source", "source", "source", "source", "swap"],
                label=["good", "good", "bad", "bad", "good", "bad"],
            )
        )
    )
    movie = found["share of domain movie"]
    assert (movie.heavy, movie.light, movie.kind) == (pytest.approx(1 / 3), pytest.approx(2 / 3), "passes")
    assert movie.difference == pytest.approx(-1 / 3 / 0.5)
    assert found["share of class good"].difference == pytest.approx(1 / 3 / 0.5)
    assert "share of class bad" not in found  # the other side of the same
    assert not any("swap" in name for name in found)  # as frequent on both sides: 1 of 3


def test_words_name_the_clearest_first_and_the_teachers_together() -> None:
    found = (
        Preference("", "shares", "all-data", 0.9, 0.1, 1.5),
        Preference("", "passes", "domain movie", 0.1, 0.4, -0.7),
        Preference("", "shares", "few-shot", 0.9, 0.1, 0.6),
        Preference("", "doubts", "cross-fitted", 0.1, 0.9, -0.5),
        Preference("", "prefers", "short texts", 9.0, 12.0, -0.3),
        Preference("", "prefers", "class good", 0.5, 0.45, 0.19),
    )
    assert rule(found) == (
        "prefers texts whose label the all-data and few-shot teachers find likely, texts whose label the "
        "cross-fitted teacher doubts, and short texts; it passes over domain movie"
    )
    assert rule(found[1:2]) == "passes over domain movie"
    assert rule(found[-1:]).startswith("clearly prefers no kind of text")


def test_weights_that_are_alike_prefer_nothing() -> None:
    for weight in ([1.0, 1.0], [0.0, 0.0], [0.5, 0.515]):
        found = preferences(table(weight=weight, agreement=[-1.0, 1.0]))
        assert (found, rule(found)) == ((), "weighs all texts alike")


# What is kept


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            [1, 1, 0, 0],
            "2 of 4 texts (50 %) get a weight above 0 and are kept: most of movie (100 %), fewest of tweets (0 %).",
        ),
        (
            [0.5, 0.5, 0.2, 0.6],
            "All 4 texts get a weight above 0 and are kept; movie has the highest mean weight (0.50).",
        ),
        ([1, 1, 1, 1], "All 4 texts get a weight above 0 and are kept, from all domains alike."),
        ([0, 0, 0, 0], "0 of 4 texts (0 %) get a weight above 0 and are kept, from all domains alike."),
    ],
)
def test_how_many_are_kept_and_of_which_domain_most(weights: list[float], sentence: str) -> None:
    found = kept(table(weight=weights, domain=["movie", "movie", "tweets", "tweets"]))
    assert found.replace("\N{NO-BREAK SPACE}", " ") == sentence


def test_groups_that_are_kept_or_dropped_whole_lead_the_rule() -> None:
    label, domain = [*"aabbcc"], ["movie", "tweets", "movie", "tweets", "movie", "tweets"]
    some = table(weight=[1.0, 1.0, 0.5, 0.0, 0.0, 0.0], label=label, domain=domain)
    words = "keeps every text of class a, none of class c and 50 % of the others"
    assert whole_groups(some).replace("\N{NO-BREAK SPACE}", " ") == words
    assert chosen(some, "pgpe").rule.startswith("pgpe keeps every text of class a, ")
    some = table(weight=[1.0, 0.0] * 3, label=label, domain=domain)
    assert whole_groups(some) == "keeps every text of domain movie and none of domain tweets"
    for weight in ([1.0] * 6, [0.0] * 6, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]):
        assert whole_groups(table(weight=weight, label=label)) == ""


def test_many_classes_are_counted() -> None:
    label = [str(i) for i in range(8)]
    some = table(weight=[1.0] * 8 + [0.0, 1.0], label=[*label, "last", "last"])
    assert whole_groups(some).startswith("keeps every text of 8 classes and ")


def test_wrong_labels_are_counted_among_source_texts() -> None:
    some = table(weight=[1.0, 0.5, 0.5, 0.0, 1.0], operator=["source"] * 4 + ["swap"])
    assert wrong_labels(some) == ""
    said = wrong_labels(some.assign(wrong=[False, True, False, True, False])).replace("\N{NO-BREAK SPACE}", " ")
    assert said == "Labels known to be wrong: 50 % of the source texts, 33 % of those kept, 25 % of the weight."
    assert wrong_labels(some.assign(wrong=True, kept=False)) == ""


def test_before_and_after() -> None:
    some = table(weight=[1.0, 0.0, 0.5, 0.5], domain=["books", "tweets", "tweets", "tweets"])
    tweets, books = shares(some, "domain")
    assert (tweets.name, tweets.texts, tweets.kept, tweets.before, tweets.after) == ("tweets", 3, 2, 0.75, 0.5)
    assert (books.name, books.texts, books.kept, books.before, books.after) == ("books", 1, 1, 0.25, 0.5)
    assert [each.after for each in shares(some.assign(weight=0.0), "domain")] == [0.0, 0.0]


# Suspected labels


def test_most_teachers_must_find_the_same_other_label_likelier() -> None:
    predictions = [
        *(("bad", "bad", "good"), ("good", "bad", "bad"), ("bad", "good", "bad")),  # two of three
        *(("bad", "good", "good"), ("bad", "ugly", "good"), ("bad", "ugly", "fine"), ("good", "good", "good")),
    ]
    columns = {
        f"{name}_prediction": list(each) for name, each in zip(TEACHERS, zip(*predictions, strict=True), strict=True)
    }
    found = suspected(table(**columns))
    assert found.index.tolist() == [0, 1, 2]
    assert set(found["likelier"]) == {"bad"}
    assert suspected(table(**columns, operator="swap")).empty


def test_the_least_probable_label_comes_first() -> None:
    given = [(0.2, 0.2, 0.2), (0.4, 0.4, 0.001), (0.3, 0.1, 0.1), (0.0, 0.0, 0.0)]
    columns = {f"{name}_probability": list(each) for name, each in zip(TEACHERS, zip(*given, strict=True), strict=True)}
    found = suspected(table(**columns, **{f"{name}_prediction": "bad" for name in TEACHERS}))
    assert found.index.tolist() == [3, 1, 2, 0]
    assert found["belief"].tolist() == pytest.approx([1e-6, 0.00016 ** (1 / 3), 0.003 ** (1 / 3), 0.2])


def test_what_is_known_is_counted_and_not_looked_at() -> None:
    some = table(weight=[1.0] * 3, **{f"{name}_prediction": ["bad", "bad", "good"] for name in TEACHERS})
    assert chosen(some, "pgpe").known is None
    found = chosen(some.assign(wrong=[True, False, True]), "pgpe")
    assert (found.known, found.suspected, [each.wrong for each in found.suspects]) == (1, 2, [True, False])


# The texts


def test_both_ends_of_a_group_share_no_text() -> None:
    for n in (1, 2, 7, 100):
        some = table(weight=[i / n for i in range(n)], text=[str(i) for i in range(n)])
        (group,) = chosen(some, "pgpe").groups
        high, low = ([int(each.text) for each in end] for end in (group.highest, group.lowest))
        assert high == [*range(n)][::-1][: min(ENDS, (n + 1) // 2)]
        assert low == [*range(n)][: min(ENDS, n // 2)]
    (group,) = chosen(table(weight=[0.5] * 4, text=[*"abcd"], times_shown=[1, 3, 0, 2]), "pgpe").groups
    assert [each.text for each in (*group.highest, *group.lowest)] == ["b", "d", "a", "c"]


def test_the_largest_groups_are_shown() -> None:
    n = GROUPS + 2
    found = chosen(table(label=[str(i) for i in range(n)] + ["7"], weight=1.0), "pgpe")
    assert (found.groups[0].label, found.groups[0].texts, len(found.groups), found.left_out) == ("7", 2, GROUPS, 2)


def test_texts_are_cut_and_say_where_they_come_from() -> None:
    some = table(
        text=["a\x1b[1m" + 300 * "x", "edited\ntwice", "mixed"],
        origin=["a.csv line 2", None, None],
        parent=[None, "a.csv line 9", None],
        operator=["source", "swap", "mix"],
        weight=[0.9, 0.8, 0.7],
    ).assign(pair="other side")
    first, second = chosen(some, "pgpe").groups[0].highest
    assert first.text.startswith("a\\x1b[1mxx")
    assert len(first.text) == LENGTH
    assert (first.place, second.place) == ("line 2", "swap of line 9")
    assert second.text == "edited twice / other side"
    assert chosen(some, "pgpe").groups[0].lowest[0].place == "mix"


def test_the_only_file_of_a_domain_is_named_once() -> None:
    some = table(
        origin=["a b.csv line 2", "a b.csv line 3", "c.csv line 2", "d.csv line 2", "row 7"],
        domain=["books", "books", "songs", "songs", "hub"],
    )
    found = chosen(some, "pgpe")
    assert found.files == {"books": "a b.csv"}
    places = {each.domain: [text.place for text in (*each.highest, *each.lowest)] for each in found.groups}
    assert places == {"books": ["line 2", "line 3"], "songs": ["c.csv line 2", "d.csv line 2"], "hub": ["row 7"]}
