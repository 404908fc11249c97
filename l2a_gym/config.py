"""Values of the right type: from what files, command lines and programs hold to arguments and frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from enum import Enum
from functools import cache
from os import PathLike, fspath
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from l2a_gym.errors import UserError, brief, unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_SENTENCES = {str: "names", bool: "True and False", int: "whole numbers", float: "numbers", NoneType: "None"}
"""What is valid where a type is asked for."""


def configured(default: T, values: Mapping[str, Any], kind: str) -> T:
    """``default`` with ``values`` in the place of its fields; a nested dataclass takes a nested mapping.

    Args:
        default: an instance of a dataclass.
        values: field name -> value.
        kind: what the dataclass sets, for the message.

    Raises:
        UserError: an unknown name, or a value of another type than the field's.
    """
    hints = hints_of(type(default))
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise unknown(f"{kind} setting", name, hints)
        now, value = getattr(default, name), plain(value)
        if is_dataclass(now) and not isinstance(now, type) and isinstance(value, Mapping):
            changed[name] = configured(now, value, f"{kind} {name}")
        elif _fits(value, hints[name]):
            changed[name] = tuple(value) if isinstance(now, tuple) else value
        else:
            raise UserError(f"{kind} {name} = {brief(value)}: valid are values like {now!r}")
    return replace(default, **changed)


@cache
def hints_of(annotated: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, or of a function's arguments."""
    return get_type_hints(annotated, include_extras=True)


def check_type(name: str, value: object, hint: Any) -> Any:
    """The value, made :func:`plain`.

    Args:
        name: what it is called, for the message.
        value: from a user.
        hint: its type; ``Annotated[str, choices]`` for one of several names.

    Raises:
        UserError: it has another type, or is none of the choices.
    """
    if any(isinstance(value, kind) for kind in get_args(hint) if isinstance(kind, type) and kind not in _SENTENCES):
        return value  # of a class of ours
    value = plain(value)
    if _fits(value, hint):
        return value
    for kind in (hint, *get_args(hint)):
        if get_origin(kind) is Annotated:
            raise unknown(name, value, get_args(kind)[1])
    raise UserError(f"{name} = {brief(value)}: valid are {_sentence(hint)}")


def plain(value: Any) -> Any:
    """The value as JSON can hold it, also within lists and mappings: no paths, enums or numpy's own."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value has a type."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if kind is Annotated:
        return _fits(value, inner[0]) and value in inner[1]
    if kind is Any:
        return True
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, float) or (_fits(value, int) and abs(value) < 2**1023)  # no float holds larger ones
    if not inner:
        return isinstance(value, kind)
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
    return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)


def _sentence(hint: Any) -> str:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(_sentence(each) for each in inner)
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    return f"lists of {_sentence(inner[0])}" if kind in (list, tuple) else "values by name"
