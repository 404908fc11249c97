"""The sentence that names the nearest valid choice, and what may stand in it."""

from __future__ import annotations

import pickle

import pytest

from l2a_gym.errors import UserError, brief, check_least, nearest, unknown
from l2a_gym.wording import printable


@pytest.mark.parametrize(
    ("given", "near"),
    [("tweet", "tweets"), ("NYT", "nyt"), ("mvoie", "movie"), ("reviews", "movie-reviews"), ("f1", "macro_f1")],
)
def test_near_choice_comes_first(given: str, near: str) -> None:
    choices = ["nyt", "tweets", "movie", "movie-reviews", "macro_f1"]
    message = str(unknown("domain", given, iter(choices)))
    assert message == f"unknown domain '{given}': did you mean '{near}'? valid are {', '.join(choices)}"


@pytest.mark.parametrize("given", ["0.0", 3, "", "p", "first"])
def test_no_choice_is_near(given: object) -> None:
    message = str(unknown("label", given, ["pos", "neg", "last"]))
    assert message == f"unknown label '{given}': valid are pos, neg, last"


def test_nearest_looks_at_letters_in_any_case() -> None:
    assert nearest("POS", ["neg", "Pos"]) == "Pos"
    assert nearest("negativ", ["positive", "Negative"]) == "Negative"
    assert nearest("x", []) is None


def test_message_is_one_line_without_characters_that_a_terminal_obeys() -> None:
    error = UserError("unknown \x1b[31mname\x1b[0m\nof a\u2028file\u202e \x9b1m \ud83d, a café's \U0001f600 stays")
    expected = "unknown \\x1b[31mname\\x1b[0m\\nof a\\u2028file\\u202e \\x9b1m \\ud83d, a café's \U0001f600 stays"
    assert str(error) == expected
    assert printable(expected) == expected
    assert str(pickle.loads(pickle.dumps(error))) == expected


def test_long_name_is_shortened_and_raw_choices_are_escaped() -> None:
    assert len(str(unknown("label", "x" * 10_000, ["a\x1b"]))) < 250
    assert str(unknown("label", "b", ["a\x1b"])) == "unknown label 'b': valid are a\\x1b"


def test_deep_value_is_shortened() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert len(brief(deep)) < 30


def test_whole_sentence() -> None:
    error = unknown("key", "nose", ["noise", "seed"])
    assert isinstance(error, UserError)
    assert isinstance(error, ValueError)
    assert str(error) == "unknown key 'nose': did you mean 'noise'? valid are noise, seed"


def test_the_least_number_is_valid_and_one_less_is_not() -> None:
    check_least("seed", 0, 0)
    check_least("repeats", 1)
    with pytest.raises(UserError, match=r"^repeats = 0: valid are whole numbers from 1$"):
        check_least("repeats", 0)
