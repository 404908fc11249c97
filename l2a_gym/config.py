"""From names and values, as JSON and TOML hold them, to a frozen dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from l2a_gym.errors import UserError, unknown

T = TypeVar("T")


def configured(default: T, values: Mapping[str, Any], kind: str) -> T:
    """``default`` with ``values`` in the place of its fields; a nested dataclass takes a nested mapping.

    Args:
        default: an instance of a dataclass.
        values: field name -> value.
        kind: what the dataclass sets, for the message.

    Raises:
        UserError: an unknown name, or a value of another type than the default's.
    """
    assert is_dataclass(default)
    assert not isinstance(default, type)
    names = [field.name for field in fields(default)]
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            raise unknown(f"{kind} setting", name, names)
        now = getattr(default, name)
        if is_dataclass(now) and isinstance(value, Mapping):
            changed[name] = configured(now, value, f"{kind} {name}")
        else:
            changed[name] = _same_type(f"{kind} {name}", value, now)
    return replace(default, **changed)


def _same_type(where: str, value: Any, now: Any) -> Any:
    if isinstance(now, tuple) and isinstance(value, list):
        return tuple(value)
    number = isinstance(now, float) and type(value) is int
    if type(value) is not type(now) and not number:
        raise UserError(f"{where} = {value!r}: valid are values like {now!r}")
    return value
