"""Leaderboard against values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.compared import references
from l2a_gym.experiment.report.details import Shown
from l2a_gym.experiment.report.leaderboard import Leaderboard, leaderboard
from l2a_gym.experiment.report.report import report_on
from l2a_gym.experiment.report.terminal import as_text
from l2a_gym.experiment.rows import Checkpoint, ClassifierFigures, Example, Failure, Row

MakeRow = Callable[..., Row]
MakeRows = Callable[..., list[Row]]


@pytest.fixture
def found_of(make_rows: MakeRows) -> Callable[[Mapping[str, Sequence[float]]], Leaderboard]:
    """Leaderboard of selectors by their test accuracies in %, one a seed, on one task; fixed ones learn nothing."""

    def found(scores: Mapping[str, Sequence[float]], **values: Any) -> Leaderboard:
        rows = []
        for selector, each in scores.items():
            learns = selector not in ("uniform", "oracle") and not selector.endswith("@frozen")
            rows += make_rows(selector, {"t": [score / 100 for score in each]}, learns=learns, **values)
        return leaderboard(rows)

    return found


def by_name(found: Leaderboard) -> dict[str, Any]:
    return {each.selector: each for each in found.entries}


def test_gains_are_points_of_accuracy_whatever_a_tasks_span(make_rows: MakeRows) -> None:
    rows = make_rows("none", {"a": [0.4, 0.6]}) + make_rows("none", {"b": [0.79, 0.79]}, reference_score=0.8)
    rows += make_rows("uniform", {"a": [0.7, 0.8]}) + make_rows("uniform", {"b": [0.79, 0.81]}, reference_score=0.8)
    found = leaderboard(rows)
    uniform, none = found.entries
    assert (uniform.selector, uniform.kind, uniform.seeds, uniform.gain.value) == ("uniform", "baseline", (0, 1), 0)
    # -30 and -20 points on a, 0 and -2 on b: means of -25 and -1, and -13 over both.
    assert none.over["uniform"].by_task == pytest.approx((-25, -1))
    assert none.gain == none.over["uniform"].mean
    assert none.gain.value == pytest.approx(-13)
    assert found.level == pytest.approx((0.75 + 0.8) / 2)
    assert found.teacher == pytest.approx({"a": 0.9, "b": 0.8})
    assert (found.tasks, found.seeds, found.budget, len(found.keys)) == (("a", "b"), (0, 1), 1000, 8)


def test_classifiers_are_means_over_rows_that_have_them(make_rows: MakeRows, make_row: MakeRow) -> None:
    rows = make_rows("mine", {"a": [0.4, 0.6], "b": [0.7, 0.7]}) + make_rows("uniform", {"b": [0.7]})
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


def test_gains_on_a_task_have_a_t_interval(make_rows: MakeRows) -> None:
    rows = make_rows("none", {"a": [0.5, 0.6, 0.7]}) + make_rows("uniform", {"a": [0.6, 0.6, 0.6]})
    found = leaderboard([*rows, *make_rows("mine", {"a": [0.7]}), *make_rows("late", {"a": [0.5] * 4})[3:]])
    cell = found.cells["none"]["a"]
    # The quantile of t with two degrees of freedom is 4.302653, the standard error 10 / sqrt(3).
    assert (cell.accuracy, cell.gain, cell.half) == pytest.approx((0.6, 0, 4.302653 * 10 / 3**0.5))
    one, alone, itself = found.cells["mine"]["a"], found.cells["late"]["a"], found.cells["uniform"]["a"]
    assert (one.accuracy, one.gain) == pytest.approx((0.7, 10))
    assert np.isnan([one.half, alone.gain, alone.half, itself.gain, itself.half]).all()
    assert (alone.accuracy, itself.accuracy) == pytest.approx((0.5, 0.6))


def test_only_seeds_on_all_tasks_are_compared(make_rows: MakeRows) -> None:
    both = {"a": [0.5, 0.5, 0.5], "b": [0.5, 0.5, 0.5]}
    rows = make_rows("none", both) + make_rows("uniform", {"a": [0.6, 0.6, 0.6], "b": [0.6, 0.6, 0.6]})
    rows += make_rows("ppo", {"a": [0.7, 0.7, 0.9], "b": [0.7, 0.7]}, learns=True)  # 0.9 has no partner
    rows += make_rows("half", {"b": [0.9, 0.9]})
    rows += make_rows("dsir", {"a": [0.6, 0.6], "b": [0.6, 0.6]}) + make_rows("el2n", {"a": [0.55], "b": [0.55]})
    found = leaderboard(rows)
    assert (by_name(found)["ppo"].seeds, by_name(found)["ppo"].gain.value) == ((0, 1), pytest.approx(10))
    assert by_name(found)["ppo"].over["uniform"].seeds == 2
    assert "half" not in by_name(found)
    assert "half" not in found.curves
    assert found.cells["half"]["b"].accuracy == pytest.approx(0.9)
    assert "a" not in found.cells["half"]
    assert by_name(found)["el2n"].seeds == (0,)
    assert as_text(found).endswith("\n11 rows missing: the report shows which.")


def test_the_grid_shows_what_is_there_what_failed_and_what_is_missing(make_rows: MakeRows) -> None:
    rows = make_rows("uniform", {"a": [0.6, 0.6], "b": [0.6, 0.6]}) + make_rows("mine", {"a": [0.7, 0.7], "b": [0.7]})
    failures = [
        Failure("b", "mine", 1, "no"),
        Failure("c", "yours", 4, "no such task"),
        Failure("a", "mine", 0, "done"),
    ]
    found = report_on(rows, failures).grid
    assert found.seeds == (0, 1, 4)
    signs = {name: [place.sign for place in places] for name, places in found.places.items()}
    assert signs == {
        "mine": ["\N{BLACK CIRCLE}", "1 \N{BALLOT X}1", "\N{EN DASH}"],
        "uniform": ["\N{BLACK CIRCLE}", "\N{BLACK CIRCLE}", "\N{EN DASH}"],
        "yours": ["\N{EN DASH}", "\N{EN DASH}", "\N{BALLOT X}1"],
    }
    assert [place.text for place in found.places["mine"]] == ["complete", "failed: b", "missing: a, b"]
    assert found.places["yours"][2].text == "failed: c; missing: a, b"


def test_differences_are_paired_by_seed_and_task(make_rows: MakeRows) -> None:
    rows = make_rows("uniform", {"a": [0.58, 0.66, 0.7], "b": [0.7, 0.62, 0.5]})
    rows += make_rows("mine", {"a": [0.66, 0.70, 0.7], "b": [0.7, 0.70, 0.54]})
    found = by_name(leaderboard(rows))["mine"].over
    assert list(found) == ["uniform"]
    mean = found["uniform"].mean
    # 8, 4 and 0 points on a; 0, 8 and 4 on b. All signs of the four that are not 0 alike: 2 of 16 ways.
    assert mean.value == pytest.approx(4)
    assert 0 <= mean.low < mean.value < mean.high <= 8
    assert (found["uniform"].seeds, found["uniform"].pairs) == (3, 6)
    assert found["uniform"].p == pytest.approx(2 / 16)


def test_holm_counts_selectors_of_a_kind(found_of: Callable[..., Leaderboard]) -> None:
    uniform = [60.0] * 6
    better, mixed = [64.0, 65, 66, 67, 68, 69], [64.0, 65, 66, 67, 68, 57]
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
        ([62] * 6, "mine beats uniform by 2.0 points [2.0, 2.0] (1 task, 6 seeds, p = 0.031 after Holm)."),
        ([67] * 6, "mine loses to uniform by 3.0 points [3.0, 3.0] (1 task, 6 seeds, p = 0.031 after Holm)."),
        (
            [63, 65, 63, 65, 63, 65],
            "mine has no significant difference from uniform: 0.0 points [-0.7, 0.7] "
            "(1 task, 6 seeds, p = 1 after Holm).",
        ),
        (
            [62] * 5,
            "mine is ahead of uniform by 2.0 points [2.0, 2.0] (1 task, 5 seeds), "
            "but no sign-flip test over 5 pairs of runs can reach 0.05.",
        ),
        (
            [65],
            "mine is behind uniform by 1.0 points (1 task, 1 seed), but no sign-flip test over 1 pair of runs can "
            "reach 0.05.",
        ),
    ],
)
def test_verdicts_are_sentences(found_of: Callable[..., Leaderboard], theirs: list[float], text: str) -> None:
    found = found_of({"uniform": theirs, "mine": [64] * len(theirs)})
    assert [each.text for each in found.verdicts] == [text]
    assert text in as_text(found)


def test_each_learner_meets_what_it_has_to_beat(found_of: Callable[..., Leaderboard]) -> None:
    scores = {"uniform": [62] * 7, "random-search": [63] * 7, "mine": [64] * 7, "oracle": [66] * 7}
    found = found_of({**scores, "mine@shuffled": [62] * 7})
    assert [(each.selector, each.reference, each.outcome) for each in found.verdicts] == [
        ("mine", "uniform", "beats"),
        ("mine", "random-search", "beats"),
        ("random-search", "uniform", "beats"),
    ]
    assert references(found.entries) == ["uniform", "random-search"]
    with_rule = found_of({**scores, "best-rule": [65] * 7})
    assert references(with_rule.entries) == ["uniform", "random-search", "best-rule"]
    assert [each.outcome for each in with_rule.verdicts if each.reference == "best-rule"] == ["loses", "loses"]
    assert by_name(with_rule)["best-rule"].kind == "baseline"  # though it spends a budget
    six = found_of({name: each[:6] for name, each in scores.items()})
    assert [each.outcome for each in six.verdicts] == ["undecidable", "beats", "undecidable"]
    assert six.verdicts[0].text.endswith(
        ", but no sign-flip test over 6 pairs of runs can reach 0.05 after Holm over 2 selectors."
    )


def test_controls_should_not_beat_uniform(found_of: Callable[..., Leaderboard]) -> None:
    uniform = [63, 65] * 3
    scores = {"uniform": uniform, "mine@frozen": [64] * 6, "mine@shuffled": [each + 1 for each in uniform]}
    found = found_of({**scores, "oracle": [66.2] * 6})
    assert found.controls == (
        "mine@shuffled is mine trained on rewards that mean nothing: it beats uniform by 1.0 points [1.0, 1.0], which "
        "it should not: as much of mine's lead over uniform does not come from its rewards.",
        "mine@frozen is mine as it starts, untrained: it should not beat uniform, and does not: "
        "0.0 points [-0.7, 0.7].",
        "oracle knows which labels are wrong: its gain of 2.2 points [1.5, 2.9] is a bound, not a method.",
    )
    worse = found_of({"uniform": uniform, "mine@frozen": [61] * 6})
    assert worse.controls[0].endswith("does not: -3.0 points [-3.7, -2.3]. It is worse.")


def test_curves_are_at_shares_of_the_budget_and_weigh_tasks_alike(make_row: MakeRow) -> None:
    def learner(task: str, seed: int, first: float) -> Row:
        points = (Checkpoint(310, first), Checkpoint(1040, 1.0))
        return make_row(task, "mine", seed, 0.6, spent=1040, curve=points)

    rows = [make_row(task, "uniform", seed, 0.5) for task in "ab" for seed in (0, 1)]
    rows += [learner("a", 0, 0.2), learner("a", 1, 0.4), learner("b", 0, 0.7)]
    found = leaderboard(rows)
    curve = found.curves["mine"]  # seed 1 is not complete
    assert np.isnan(curve[found.shares < 0.31]).all()
    np.testing.assert_allclose(curve[(found.shares > 0.31) & (found.shares < 1)], (0.2 + 0.7) / 2)
    assert curve[-1] == 1
    np.testing.assert_allclose(found.curves["uniform"], 0.5)


def test_choices_are_means_over_seeds(make_row: MakeRow) -> None:
    nothing = {"x": [0.0, 0.0]}
    rows = [make_row("a", "uniform", 0, 0.5), make_row("a", "none", 0, 0.5, domain_share=nothing, wrong_share=[0, 0])]
    rows += [
        make_row("a", "mine", 0, 0.6, domain_share={"x": [0.2, 0.4, 0.4]}, wrong_share=[0.4, 0.2, 0.2]),
        make_row("a", "mine", 1, 0.6, domain_share={"x": [0.4, 0.8]}, wrong_share=[0.2, 0.3]),
    ]
    found = leaderboard(rows).choices["a"]
    assert found["mine"].domains == {"x": pytest.approx([0.3, 0.6])}
    assert found["mine"].operators == {"source": [1, 1], "swap": [0, 0]}
    assert found["mine"].labels == {"wrong label": pytest.approx([0.3, 0.25])}
    assert found["uniform"].labels == {}  # where no label is known to be wrong
    assert found["none"].labels == {}  # of no weight there is no share


def test_examples_are_the_best_learners(make_rows: MakeRows) -> None:
    def of(text: str) -> tuple[Example, ...]:
        return (Example(text, "good", "books", False, 1.0),)

    rows = make_rows("uniform", {"a": [0.6], "b": [0.6]}, examples=of("uniform"))
    rows += make_rows("random-search", {"a": [0.9], "b": [0.9]}, learns=True, examples=of("search"))
    rows += make_rows("mine", {"a": [0.8], "b": [0.7]}, learns=True, examples=of("mine"))
    rows += make_rows("yours", {"a": [0.7], "b": [0.7]}, learns=True, examples=of("yours"))
    rows = [replace(row, examples=()) if row.key == ("b", "mine", 0) else row for row in rows]
    assert leaderboard(rows).examples == {"a": Shown("mine", 0, of("mine"))}
    assert leaderboard(rows[:4]).examples == {}  # random search is what a learner has to beat


def test_budgets_that_were_not_kept_and_other_data_are_named(make_row: MakeRow) -> None:
    rows = [make_row("a", "uniform", seed, 0.5) for seed in range(3)]
    rows += [make_row("a", "mine", seed, 0.6, spent=spent) for seed, spent in enumerate((1100, 1101, 1500))]
    rows += [make_row("a", "yours", 0, 0.6, prepared="other")]
    assert leaderboard(rows).warnings == (
        "mine spent up to 1,500 of 1,000 units (rows: 2).",
        "a was prepared in different ways (seeds 0, 1, 2; seed 0): pairs at one seed are of different data.",
    )
    other = make_row("a", "yours", 0, 0.6, settings={"student": "pruned"}, students=rows[0].students[:1])
    assert leaderboard([*rows[:6], other]).warnings[1:] == (
        "rows have 1, 2 final students.",
        'rows were made with different settings: {"student": "pruned"}, {"student": "tiny"}.',
    )


def test_seeds_that_were_prepared_apart_have_pairs_of_the_same_data(make_row: MakeRow) -> None:
    rows = [
        make_row(task, selector, seed, 0.5, prepared=f"{task} there" if seed < 2 or task == "c" else f"{task} here")
        for task in "abc"
        for seed in range(3)
        for selector in ("uniform", "mine")
    ]
    assert leaderboard(rows).warnings == (
        "a, b were prepared in different ways (seeds 0, 1; seed 2): pairs at one seed are of the same data, levels at "
        "different seeds are not.",
    )


def test_a_task_without_uniform_is_left_out_of_all_numbers(make_row: MakeRow) -> None:
    good = [make_row("a", "uniform", 0, 0.5), make_row("a", "mine", 0, 0.6)]
    found, alone = leaderboard([*good, make_row("b", "mine", 0, 0.9)]), leaderboard(good)
    assert found.warnings == ("b is left out: it has no rows of uniform, from which gains are counted.",)
    assert (found.tasks, len(found.keys), found.cells) == (("a",), 2, alone.cells)


def test_the_same_rows_give_the_same_numbers_whoever_else_takes_part(found_of: Callable[..., Leaderboard]) -> None:
    uniform, mine = [63, 63.5, 62, 64, 63, 62.5], [64, 65, 64.2, 63.8, 66, 64.1]
    alone = by_name(found_of({"uniform": uniform, "mine": mine}))["mine"]
    among = by_name(found_of({"other": [69] * 6, "uniform": uniform, "mine": mine}))["mine"]
    assert alone.over["uniform"].mean == among.over["uniform"].mean


def test_rows_that_cannot_be_compared(make_row: MakeRow) -> None:
    uniform, mine = make_row("a", "uniform", 0, 0.5), make_row("a", "mine", 0, 0.6)
    with pytest.raises(UserError, match=r"there are no rows to report: run l2a benchmark first"):
        leaderboard([])
    with pytest.raises(UserError, match=r"^b is left out: it has no rows of uniform, from which gains are counted\.$"):
        leaderboard([make_row("b", "mine", 0, 0.6)])
    with pytest.raises(UserError, match=r"rows have different budgets \(1000, 2000\)"):
        leaderboard([uniform, make_row("a", "mine", 0, 0.6, budget=2000)])
    with pytest.raises(UserError, match="mine on a, seed 0, stands in two rows: give one of them"):
        leaderboard([uniform, mine, mine])
