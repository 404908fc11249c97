"""The sentence that says whether learning helped: exact intervals, and each of its outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from l2a_gym.experiment.rows import Row, Student
from l2a_gym.experiment.verdict import verdict

Made = Callable[..., Row]


@pytest.fixture
def row(make_row: Callable[..., Row]) -> Made:
    def make(name: str, accuracies: list[float], gain: float = 0.1) -> Row:
        """On test, students are right half as often as on dev."""
        students = tuple(Student(i, each / 2, gain, "", {"dev_accuracy": each}) for i, each in enumerate(accuracies))
        return make_row("small", name, 0, 0.5, students=students)

    return make


def test_the_interval_is_that_of_a_paired_t_test(row: Made) -> None:
    own, uniform = [0.8, 0.78, 0.83], [0.7, 0.74, 0.71]
    rows = [row("uniform", uniform), row("none", [0.5, 0.5, 0.5]), row("ppo", own)]
    found = verdict("ppo", rows)["against"]["uniform"]
    expected = stats.ttest_rel(own, uniform).confidence_interval()
    assert found["points"] == pytest.approx(100 * np.mean(np.subtract(own, uniform)))
    assert (found["low"], found["high"]) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_the_best_rule_is_the_one_that_gained_most_on_dev_and_never_none_or_the_oracle(row: Made) -> None:
    rows = [
        row("none", [0.9, 0.9], gain=0.9),
        row("uniform", [0.6, 0.6], gain=0.1),
        row("few-shot-agrees", [0.6, 0.6], gain=0.2),
        row("all-data-agrees", [0.7, 0.6], gain=0.15),
        row("oracle", [0.9, 0.9], gain=0.9),
        row("ppo", [0.7, 0.7], gain=0.3),
    ]
    found = verdict("ppo", rows)
    assert found["rule"] == "few-shot-agrees"
    assert [*found["against"]] == ["uniform", "few-shot-agrees"]


@pytest.mark.parametrize(
    ("uniform", "rule", "said"),
    [
        (
            *([0.60, 0.61, 0.62], [0.65, 0.66, 0.67]),
            "Choosing texts helped: ppo's students are right on 20.0 points more of the dev texts than students that "
            "learn from all texts alike (uniform; 95 % interval +20.0 to +20.0). On test: +10.0 points (+10.0 to "
            "+10.0). They are ahead of the best fixed rule (trust-teacher): +15.0 points (+15.0 to +15.0).",
        ),
        (
            *([0.60, 0.61, 0.62], [0.75, 0.84, 0.81]),
            "Choosing texts helped: ppo's students are right on 20.0 points more of the dev texts than students that "
            "learn from all texts alike (uniform; 95 % interval +20.0 to +20.0). On test: +10.0 points (+10.0 to "
            "+10.0). That they are ahead of the best fixed rule (trust-teacher) is not shown: +1.0 points (-8.9 to "
            "+10.9). More --students would narrow this; or use the rule: --algo trust-teacher.",
        ),
        (
            *([0.81, 0.82, 0.83], [0.90, 0.91, 0.92]),
            "Choosing texts did harm: ppo's students are right on 1.0 points fewer of the dev texts than students "
            "that learn from all texts alike (uniform; 95 % interval -1.0 to -1.0). On test: -0.5 points (-0.5 to "
            "-0.5). They are behind the best fixed rule (trust-teacher): -10.0 points (-10.0 to -10.0). Use the rule, "
            "--algo trust-teacher, or try a larger --budget.",
        ),
    ],
)
def test_only_what_the_intervals_show_is_said(row: Made, uniform: list[float], rule: list[float], said: str) -> None:
    rows = [row("uniform", uniform), row("trust-teacher", rule, gain=0.2), row("ppo", [0.80, 0.81, 0.82])]
    assert verdict("ppo", rows)["sentence"] == said


def test_uniform_weights_may_be_the_best_rule(row: Made) -> None:
    rows = [row("uniform", [0.6, 0.61], gain=0.2), row("trust-teacher", [0.5, 0.5]), row("ppo", [0.8, 0.81])]
    assert verdict("ppo", rows)["sentence"].endswith("+10.0 to +10.0). No fixed rule does better than that.")


def test_a_single_student_decides_nothing(row: Made) -> None:
    found: dict[str, Any] = verdict("ppo", [row("uniform", [0.5]), row("ppo", [0.9])])
    assert found["against"] == {"uniform": {"points": pytest.approx(40), "low": None, "high": None}}
    assert found["sentence"] == (
        "That choosing texts helps is not shown: ppo's students are right on 40.0 points more of the dev texts than "
        "students that learn from all texts alike (uniform). On test: +20.0 points. No fixed rule does better than "
        "that. More --students would narrow this; or use the rule: --algo uniform."
    )


def test_the_interval_on_test_is_of_test_and_made_up_students_have_none(row: Made, make_row: Made) -> None:
    own, uniform = [0.8, 0.78, 0.83], [0.7, 0.74, 0.71]
    found = verdict("ppo", [row("uniform", uniform), row("ppo", own)])["test"]["uniform"]
    expected = stats.ttest_rel(own, uniform).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((50 * expected.low, 50 * expected.high))
    toy = verdict("ppo", [make_row("toy", name, 0, 0.5) for name in ("uniform", "ppo")])
    assert toy["test"] == {}
    assert "test" not in toy["sentence"]
