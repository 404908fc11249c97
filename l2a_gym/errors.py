"""One kind of error for every mistake that a user can mend, and the sentence that names the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in the input: its message is one sentence that names the file, row or key and what would be valid."""


def unknown(kind: str, given: object, choices: Iterable[str]) -> UserError:
    """Build the error for an unknown name.

    Args:
        kind: what the name stands for, e.g. ``"task"``.
        given: the name that was given.
        choices: the valid names.

    Returns:
        An error that names the nearest valid choice first and then all of them.
    """
    names = list(choices)
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.0)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UserError(f"unknown {kind} {str(given)!r}: {hint}valid are {', '.join(names)}")


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
