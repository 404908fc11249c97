"""Leaderboard against values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.leaderboard import Leaderboard, leaderboard
from l2a_gym.experiment.report.terminal import as_text
from l2a_gym.experiment.rows import Checkpoint, ClassifierFigures, Key, Row

MakeRow = Callable[..., Row]
MakeRows = Callable[..., list[Row]]
WAY = "of the way from no candidates to the all-data teacher"


@pytest.fixture
def found_of(make_rows: MakeRows) -> Callable[[Mapping[str, Sequence[float]]], Leaderboard]:
    """Leaderboard of selectors by their normalised scores, one a seed, on one task; all learn but none and uniform."""

    def found(scores: Mapping[str, Sequence[float]], **values: Any) -> Leaderboard:
        seeds = len(next(iter(scores.values())))
        rows = make_rows("none", {"t": [0.5] * seeds})
        for selector, each in scores.items():
            learns = selector not in ("uniform", "oracle") and not selector.endswith("@frozen")
            rows += make_rows(selector, {"t": [0.5 + 0.4 * score for score in each]}, learns=learns, **values)
        return leaderboard(rows)

    return found


def by_name(found: Leaderboard) -> dict[str, Any]:
    return {each.selector: each for each in found.entries}


def test_scores_are_normalised_task_by_task(make_rows: MakeRows) -> None:
    rows = make_rows("none", {"a": [0.4, 0.6]}) + make_rows("none", {"b": [0.7, 0.7]}, reference_score=0.8)
    rows += make_rows("uniform", {"a": [0.7, 0.8]}) + make_rows("uniform", {"b": [0.75, 0.7]}, reference_score=0.8)
    found = leaderboard(rows)
    uniform = by_name(found)["uniform"]
    # 0.5, 0.75 on a, where none has 0.5 and the teacher 0.9; 0.5, 0 on b; the middle half is 0.5, 0.5.
    assert uniform.score.value == pytest.approx(0.5)
    assert (uniform.seeds, uniform.kind) == ((0, 1), "baseline")
    assert found.teacher == pytest.approx({"a": 0.9, "b": 0.8})
    assert by_name(found)["none"].score.value == pytest.approx(0)
    assert by_name(found)["none"].improvement == pytest.approx((0 + 0.5 * 2 / 4) / 2)
    assert [each.selector for each in found.entries] == ["uniform", "none"]
    assert (found.tasks, found.seeds, found.budget, found.rows) == (("a", "b"), (0, 1), 1000, 8)


def test_classifiers_are_means_over_rows_that_have_them(make_rows: MakeRows, make_row: MakeRow) -> None:
    rows = make_rows("none", {"a": [0.4, 0.6], "b": [0.7, 0.7]})
    few, tfidf = ClassifierFigures(0.8, 100, 32, 5000), ClassifierFigures(0.5, 100, 32, 900)
    rows += [
        make_row("a", "uniform", 0, 0.7, classifiers={"few-shot teacher": few, "TF-IDF": tfidf}),
        make_row("a", "uniform", 1, 0.7, classifiers={"few-shot teacher": replace(few, test_accuracy=0.9, labels=48)}),
    ]
    found = leaderboard(rows).classifiers
    assert {task: list(each) for task, each in found.items()} == {"a": ["few-shot teacher", "TF-IDF"]}
    teacher, reference = found["a"].values()
    assert (teacher.accuracy, teacher.error) == pytest.approx((0.85, (0.04 + 0.03) / 2))  # 0.8 * 0.2 = 16 * 0.01
    assert (teacher.labels, teacher.parameters) == ((32, 48), (5000,))
    assert (reference.accuracy, reference.error) == pytest.approx((0.5, 0.05))


def test_a_row_is_normalised_by_its_own_top(make_row: MakeRow) -> None:
    rows = [make_row("toy", "none", 0, 0.5, reference_score=0.9), make_row("toy", "none", 1, 0.5, reference_score=0.7)]
    rows += [
        make_row("toy", "uniform", 0, 0.7, reference_score=0.9),
        make_row("toy", "uniform", 1, 0.6, reference_score=0.7),
    ]
    assert by_name(leaderboard(rows))["uniform"].score.value == pytest.approx(0.5)


def test_scores_of_a_task_have_a_t_interval(make_rows: MakeRows) -> None:
    found = leaderboard(make_rows("none", {"a": [0.5, 0.6, 0.7]}) + make_rows("uniform", {"a": [0.7]}))
    cell = found.cells["none"]["a"]
    # The quantile of t with two degrees of freedom is 4.302653, the standard error 0.1 / sqrt(3).
    assert (cell.mean, cell.half, cell.seeds) == pytest.approx((0.6, 4.302653 * 0.1 / 3**0.5, 3))
    assert np.isnan(found.cells["uniform"]["a"].half)


def test_only_seeds_on_all_tasks_are_compared(make_rows: MakeRows) -> None:
    both = {"a": [0.5, 0.5, 0.5], "b": [0.5, 0.5, 0.5]}
    rows = make_rows("none", both) + make_rows("uniform", {"a": [0.6, 0.6, 0.6], "b": [0.6, 0.6, 0.6]})
    rows += make_rows("ppo", {"a": [0.7, 0.7, 0.9], "b": [0.7, 0.7]}, learns=True)  # 0.9 has no partner
    rows += make_rows("half", {"b": [0.9, 0.9]})
    rows += make_rows("dsir", {"a": [0.6, 0.6], "b": [0.6, 0.6]}) + make_rows("el2n", {"a": [0.55], "b": [0.55]})
    found = leaderboard(rows)
    assert (by_name(found)["ppo"].seeds, by_name(found)["ppo"].score.value) == ((0, 1), pytest.approx(0.5))
    assert by_name(found)["ppo"].over["uniform"].seeds == 2
    assert "half" not in by_name(found)
    assert "half" not in found.profiles
    assert found.cells["half"]["b"].mean == pytest.approx(0.9)
    assert "a" not in found.cells["half"]
    assert found.incomplete == (
        "ppo, dsir are compared at 2 seeds (0, 1) of 3.",
        "el2n is compared at 1 seed (0) of 3.",
        "half has no seed on all 2 tasks and is in no comparison; it has b (seeds 0, 1).",
    )
    missing = [("b", "ppo", 2), ("a", "half", 0), ("a", "half", 1), ("a", "half", 2), ("b", "half", 2)]
    missing += [(task, "dsir", 2) for task in "ab"] + [(task, "el2n", seed) for task in "ab" for seed in (1, 2)]
    assert found.missing == tuple(Key(*each) for each in missing)


def test_differences_are_paired_by_seed_and_task(make_rows: MakeRows) -> None:
    rows = make_rows("none", {"a": [0.5] * 3, "b": [0.5] * 3})
    rows += make_rows("uniform", {"a": [0.58, 0.66, 0.7], "b": [0.7, 0.62, 0.5]})
    rows += make_rows("mine", {"a": [0.66, 0.70, 0.7], "b": [0.7, 0.70, 0.54]})
    found = by_name(leaderboard(rows))["mine"].over
    assert list(found) == ["uniform"]
    mean = found["uniform"].mean
    # 0.2, 0.1 and 0 on a; 0, 0.2 and 0.1 on b. All signs of the four that are not 0 alike: 2 of 16 ways.
    assert mean.value == pytest.approx(0.1)
    assert 0 <= mean.low < mean.value < mean.high <= 0.2
    assert (found["uniform"].seeds, found["uniform"].pairs) == (3, 6)
    assert found["uniform"].p == pytest.approx(2 / 16)


def test_holm_counts_selectors_of_a_kind(found_of: Callable[..., Leaderboard]) -> None:
    uniform = [0.3] * 6
    better, mixed = [0.4, 0.41, 0.42, 0.43, 0.44, 0.45], [0.4, 0.41, 0.42, 0.43, 0.44, 0.25]
    found = by_name(found_of({"uniform": uniform, "one": better, "two": mixed, "one@frozen": better}))
    # All six signs alike: 2 of 64 ways. The smallest of six with another sign: 4 of 64.
    assert found["one"].over["uniform"].p == pytest.approx(2 / 64)
    assert found["two"].over["uniform"].p == pytest.approx(4 / 64)
    assert found["one"].over["uniform"].adjusted == pytest.approx(4 / 64)
    assert found["two"].over["uniform"].adjusted == pytest.approx(4 / 64)
    assert found["one"].over["uniform"].least == pytest.approx(4 / 64)
    assert found["one@frozen"].over["uniform"].adjusted == pytest.approx(2 / 64)


@pytest.mark.parametrize(
    ("theirs", "text"),
    [
        ([0.2] * 6, f"mine beats uniform by 0.20 [0.20, 0.20] {WAY} (1 task, 6 seeds, p = 0.031 after Holm)."),
        ([0.7] * 6, f"mine loses to uniform by 0.30 [0.30, 0.30] {WAY} (1 task, 6 seeds, p = 0.031 after Holm)."),
        (
            [0.3, 0.5, 0.3, 0.5, 0.3, 0.5],
            "mine has no significant difference from uniform: "
            f"0.00 [-0.07, 0.07] {WAY} (1 task, 6 seeds, p = 1 after Holm).",
        ),
        (
            [0.2] * 5,
            f"mine is ahead of uniform by 0.20 [0.20, 0.20] {WAY} (1 task, 5 seeds), "
            "but no sign-flip test over 5 pairs of runs can reach 0.05.",
        ),
        (
            [0.5],
            f"mine is behind uniform by 0.10 {WAY} (1 task, 1 seed), but no sign-flip test over 1 pair of runs can "
            "reach 0.05.",
        ),
    ],
)
def test_verdicts_are_sentences(found_of: Callable[..., Leaderboard], theirs: list[float], text: str) -> None:
    found = found_of({"uniform": theirs, "mine": [0.4] * len(theirs)})
    assert [each.text for each in found.verdicts] == [text]
    assert text in as_text(found)


def test_each_learner_meets_uniform_random_search_and_the_best_rule(found_of: Callable[..., Leaderboard]) -> None:
    scores = {"uniform": [0.2] * 7, "random-search": [0.3] * 7, "mine": [0.4] * 7, "oracle": [0.6] * 7}
    found = found_of({**scores, "mine@shuffled": [0.2] * 7})
    assert [(each.selector, each.reference, each.outcome) for each in found.verdicts] == [
        ("mine", "uniform", "beats"),
        ("mine", "random-search", "beats"),
        ("random-search", "uniform", "beats"),
    ]
    with_rule = found_of({**scores, "best-rule": [0.5] * 7})
    assert [(each.reference, each.outcome) for each in with_rule.verdicts if each.selector == "mine"] == [
        ("uniform", "beats"),
        ("random-search", "beats"),
        ("best-rule", "loses"),
    ]
    six = found_of({name: each[:6] for name, each in scores.items()})
    assert [each.outcome for each in six.verdicts] == ["undecidable", "beats", "undecidable"]
    assert six.verdicts[0].text.endswith(
        ", but no sign-flip test over 6 pairs of runs can reach 0.05 after Holm over 2 selectors."
    )


def test_controls_should_not_beat_uniform(found_of: Callable[..., Leaderboard]) -> None:
    uniform = [0.3, 0.5] * 3
    scores = {"uniform": uniform, "mine@frozen": [0.4] * 6, "mine@shuffled": [each + 0.1 for each in uniform]}
    found = found_of({**scores, "oracle": [0.62] * 6})
    assert found.controls == (
        "mine@shuffled is mine trained on rewards that mean nothing: it beats uniform by 0.10 [0.10, 0.10], which it "
        "should not: as much of mine's lead over uniform does not come from its rewards.",
        "mine@frozen is mine as it starts, untrained: it should not beat uniform, and does not: 0.00 [-0.07, 0.07].",
        "oracle knows which labels were flipped: its 0.62 is a bound, not a method.",
    )
    worse = found_of({"uniform": uniform, "mine@frozen": [0.1] * 6})
    assert worse.controls[0].endswith("does not: -0.30 [-0.37, -0.23]. It is worse.")


def test_curves_are_at_shares_of_the_budget_and_weigh_tasks_alike(make_row: MakeRow) -> None:
    def learner(task: str, seed: int, first: float) -> Row:
        points = (Checkpoint(310, first), Checkpoint(1040, 1.0))
        return make_row(task, "mine", seed, 0.6, spent=1040, curve=points)

    rows = [make_row(task, "none", seed, 0.5) for task in "ab" for seed in (0, 1)]
    rows += [learner("a", 0, 0.2), learner("a", 1, 0.4), learner("b", 0, 0.7)]
    found = leaderboard(rows)
    curve = found.curves["mine"]  # seed 1 is not complete
    assert np.isnan(curve[found.shares < 0.31]).all()
    np.testing.assert_allclose(curve[(found.shares > 0.31) & (found.shares < 1)], (0.2 + 0.7) / 2)
    assert curve[-1] == 1
    np.testing.assert_allclose(found.curves["none"], 0.5)


def test_profiles_are_shares_of_runs_above(make_rows: MakeRows) -> None:
    found = leaderboard(make_rows("none", {"a": [0.5, 0.5]}) + make_rows("uniform", {"a": [0.6, 0.97]}))
    profile = dict(zip(found.thresholds.round(2), found.profiles["uniform"], strict=True))
    assert (profile[0.0], profile[0.24], profile[0.26], profile[1.16], profile[1.18]) == (1, 1, 0.5, 0.5, 0)


def test_choices_are_means_over_seeds(make_row: MakeRow) -> None:
    rows = [make_row("a", "none", 0, 0.5)]
    rows += [
        make_row("a", "mine", 0, 0.6, domain_share={"x": [0.2, 0.4, 0.4]}),
        make_row("a", "mine", 1, 0.6, domain_share={"x": [0.4, 0.8]}),
    ]
    found = leaderboard(rows).choices["a"]["mine"]
    assert found.domains == {"x": pytest.approx([0.3, 0.6])}
    assert found.operators == {"source": [1, 1], "swap": [0, 0]}


def test_budgets_that_were_not_kept_and_other_data_are_named(make_row: MakeRow) -> None:
    rows = [make_row("a", "none", seed, 0.5) for seed in range(3)]
    rows += [make_row("a", "mine", seed, 0.6, spent=spent) for seed, spent in enumerate((1100, 1101, 1500))]
    rows += [make_row("a", "yours", 0, 0.6, prepared="other")]
    assert leaderboard(rows).warnings == (
        "mine spent up to 1,500 of 1,000 units (rows: 2).",
        "a was prepared in different ways (a-0 at seeds 0, 1, 2; other at seed 0): pairs at one seed are of different "
        "data.",
    )
    other = make_row("a", "yours", 0, 0.6, settings={"student": "pruned"}, students=rows[0].students[:1])
    assert leaderboard([*rows[:6], other]).warnings[1:] == (
        "rows have 1, 2 final students.",
        'rows were made with different settings: {"student": "pruned"}, {"student": "tiny"}.',
    )


def test_seeds_that_were_prepared_apart_have_pairs_of_the_same_data(make_row: MakeRow) -> None:
    rows = [
        make_row("a", selector, seed, 0.5, prepared="there" if seed < 2 else "here")
        for seed in range(3)
        for selector in ("none", "mine")
    ]
    assert leaderboard(rows).warnings == (
        "a was prepared in different ways (there at seeds 0, 1; here at seed 2): pairs at one seed are of the same "
        "data, levels at different seeds are not.",
    )


def test_a_task_without_a_scale_is_left_out_of_all_numbers(make_row: MakeRow) -> None:
    good = [make_row("a", "none", 0, 0.5), make_row("a", "mine", 0, 0.6)]
    bad = [
        make_row("b", "mine", 0, 0.9),
        make_row("c", "none", 0, 0.6, reference_score=0.5),
        make_row("c", "mine", 0, 0.7, reference_score=0.5),
    ]
    found, alone = leaderboard([*good, *bad]), leaderboard(good)
    assert found.warnings == (
        "b is left out: it has no rows of none, where its scale begins.",
        "c is left out: none has 60.0% there, the all-data teacher 50.0%.",
    )
    assert (found.tasks, found.rows, found.cells) == (("a",), 2, alone.cells)
    assert [(each.selector, each.score.value) for each in found.entries] == [
        ("mine", pytest.approx(0.25)),
        ("none", 0),
    ]


def test_the_same_rows_give_the_same_numbers_whoever_else_takes_part(found_of: Callable[..., Leaderboard]) -> None:
    uniform, mine = [0.3, 0.35, 0.2, 0.4, 0.3, 0.25], [0.4, 0.5, 0.42, 0.38, 0.6, 0.41]
    alone = by_name(found_of({"uniform": uniform, "mine": mine}))["mine"]
    among = by_name(found_of({"other": [0.9] * 6, "uniform": uniform, "mine": mine}))["mine"]
    assert alone.score == among.score
    assert alone.over["uniform"].mean == among.over["uniform"].mean


def test_rows_that_cannot_be_compared(make_row: MakeRow) -> None:
    none, mine = make_row("a", "none", 0, 0.5), make_row("a", "mine", 0, 0.6)
    with pytest.raises(UserError, match=r"there are no rows to report: run l2a benchmark first"):
        leaderboard([])
    with pytest.raises(UserError, match=r"^b is left out: it has no rows of none, where its scale begins\.$"):
        leaderboard([make_row("b", "mine", 0, 0.6)])
    with pytest.raises(UserError, match=r"rows have different budgets \(1000, 2000\)"):
        leaderboard([none, make_row("a", "mine", 0, 0.6, budget=2000)])
    with pytest.raises(UserError, match="mine on a, seed 0, stands in two rows: give one of them"):
        leaderboard([none, mine, mine])
    with pytest.raises(UserError, match=r"a is left out: none has 50.0% there, the all-data teacher 50.0%"):
        leaderboard([none, make_row("a", "mine", 0, 0.6, reference_score=0.5)])
