"""From names and values to a dataclass: what is taken, and what is named when it can't be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from l2a_gym.config import configured
from l2a_gym.errors import UserError


@dataclass(frozen=True)
class Inner:
    depth: int = 3
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    rate: float = 0.5
    name: str = "plain"
    on: bool = False
    inner: Inner = field(default_factory=Inner)


def test_values_take_the_place_of_the_defaults() -> None:
    values = {"rate": 1, "inner": {"words": ["not", "never"]}}
    assert configured(Outer(name="mine"), values, "thing") == Outer(1, "mine", False, Inner(3, ("not", "never")))
    assert configured(Outer(), {}, "thing") == Outer()
    assert configured(Outer(), {"inner": Inner(5)}, "thing").inner.depth == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rat": 1.0}, "unknown thing setting 'rat': did you mean 'rate'? valid are rate, name, on, inner"),
        ({"inner": {"dept": 1}}, "unknown thing inner setting 'dept': did you mean 'depth'? valid are depth, words"),
        ({"rate": "fast"}, "thing rate = 'fast': valid are values like 0.5"),
        ({"rate": True}, "thing rate = True: valid are values like 0.5"),
        ({"on": 1}, "thing on = 1: valid are values like False"),
        ({"inner": {"depth": 2.0}}, "thing inner depth = 2.0: valid are values like 3"),
        ({"inner": 3}, "thing inner = 3: valid are values like Inner(depth=3, words=())"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        configured(Outer(), values, "thing")
    assert str(caught.value) == message
