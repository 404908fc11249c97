"""One kind of error for every mistake that a user can mend, and the sentence that names the nearest valid choice."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable

from l2a_gym.wording import printable

_SHORT = reprlib.Repr()
_SHORT.maxstring = 200


class UserError(ValueError):
    """A mistake in the input: its message is one line that names the file, row or key and what would be valid.

    Characters that a terminal would obey (``wording.CONTROL``) stand escaped in it, whatever name or cell has them.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def brief(value: object) -> str:
    """A value as code, shortened where it is long or deep."""
    return _SHORT.repr(value)


def nearest(given: str, choices: Iterable[str]) -> str | None:
    """The choice that was probably meant: one with nearly the same letters in any case, or with all that was given."""
    names = {name.casefold(): name for name in choices}
    if len(given) < 2:  # too little to guess from
        return None
    near = difflib.get_close_matches(given.casefold(), names, n=1) or [n for n in names if given.casefold() in n]
    return names[near[0]] if near else None


def unknown(kind: str, given: object, choices: Iterable[str]) -> UserError:
    """Build the error for an unknown name.

    Args:
        kind: what the name stands for, e.g. ``"task"``.
        given: the name that was given.
        choices: the valid names.

    Returns:
        An error that names the choice that was probably meant, if there is one, and then all of them.
    """
    names = list(choices)
    near = nearest(str(given), names)
    hint = f"did you mean {near!r}? " if near else ""
    return UserError(f"unknown {kind} {brief(str(given))}: {hint}valid are {', '.join(names)}")


def check_choice(kind: str, given: object, choices: Iterable[str]) -> None:
    """Raise the error of :func:`unknown` unless ``given`` is one of ``choices``."""
    names = list(choices)
    if given not in names:
        raise unknown(kind, given, names)


def check_least(name: str, value: int, least: int = 1) -> None:
    """Raise a :class:`UserError` unless the whole number ``value`` is at least ``least``."""
    if value < least:
        raise UserError(f"{name} = {value}: valid are whole numbers from {least}")


def check_seed(value: int) -> None:
    """Raise a :class:`UserError` unless ``value`` is a seed that every generator takes."""
    if not 0 <= value < 2**63:
        raise UserError(f"seed = {value}: valid are whole numbers from 0, below 2^63")


def check_device(name: str) -> None:
    """Raise a :class:`UserError` unless ``name`` is that of a device, which need not be there."""
    if not re.fullmatch(r"auto|(cpu|cuda)(:\d*)?", name):
        raise UserError(f"unknown device {name!r}: valid are auto, cpu, cuda and cuda:<i>")
