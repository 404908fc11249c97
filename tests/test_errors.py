"""The sentence that names the nearest valid choice."""

from __future__ import annotations

import pytest

from l2a_gym.errors import UserError, check_least, unknown


@pytest.mark.parametrize(
    ("given", "nearest"), [("tweet", "tweets"), ("NYT", "nyt"), ("mvoie", "movie"), (3, "nyt"), ("", "nyt")]
)
def test_nearest_choice_comes_first(given: object, nearest: str) -> None:
    choices = ["nyt", "tweets", "movie"]
    message = str(unknown("domain", given, iter(choices)))
    head, tail = message.split("? ")
    assert head.startswith(f"unknown domain {str(given)!r}: did you mean ")
    assert tail == "valid are nyt, tweets, movie"
    if given in ("tweet", "mvoie"):
        assert head.endswith(repr(nearest))
    assert "\n" not in message


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
