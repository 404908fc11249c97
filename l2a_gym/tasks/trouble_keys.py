"""The keys ``noise`` and ``resample`` of a task file: their values, checked, and the troubles that they stand for.

A source's value in ``[noise]`` is a share (:func:`symmetric`), a table class -> class -> share (:func:`confused`), or
the word ``inverted``; in ``[resample]`` it is a table class -> share. A plain number ``noise`` holds for every source.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from l2a_gym.errors import UserError, brief, check_choice
from l2a_gym.tasks.task_file import TaskFile
from l2a_gym.tasks.troubles import TINY, Trouble, confused, inverted, resampled, symmetric


def troubles_of(where: str, spec: TaskFile, labels: Collection[str]) -> dict[str, list[Trouble]]:
    """The troubles of each source that has any: resampled while its labels are right, of which some become wrong then.

    Args:
        where: the task file.
        spec: its keys.
        labels: the class names; empty: not known yet, so each name may be one.

    Raises:
        UserError: an unknown source or class, or a value that is none of the above.
    """
    sources = [name for name in spec.domains if name != spec.target]
    noise = spec.noise
    if not isinstance(noise, dict):
        _check_share(f"{where}: noise", noise)
        noise = dict.fromkeys(sources, noise)
    troubles: dict[str, list[Trouble]] = {}
    for key, table, trouble_of in (("resample", spec.resample, _resampling), ("noise", noise, _noise)):
        for source, value in table.items():
            check_choice(f"source in {where} [{key}]", source, sources)
            troubles.setdefault(source, []).append(trouble_of(f"{where}: {key}.{source}", value, labels))
    return troubles


def _resampling(key: str, value: Any, labels: Collection[str]) -> Trouble:
    return partial(resampled, _shares(key, value, labels))


def _noise(key: str, value: Any, labels: Collection[str]) -> Trouble:
    if value == "inverted":
        return inverted
    if isinstance(value, dict):
        _check_classes(key, value, labels)
        for name, others in value.items():
            if name in _shares(f"{key}.{name}", others, labels):
                raise UserError(f"{key}.{name}.{name}: a class is not called wrongly by its own name")
        return partial(confused, value)
    if isinstance(value, str):
        raise UserError(f"{key} = {brief(value)}: valid are 'inverted', a number from 0 to 1, or a table of classes")
    _check_share(key, value)
    return partial(symmetric, value)


def _shares(key: str, value: Any, labels: Collection[str]) -> dict[str, float]:
    """A table class -> share."""
    if not isinstance(value, dict) or not value:
        raise UserError(f"{key} = {brief(value)} is not a table of classes and their shares")
    _check_classes(key, value, labels)
    for name, share in value.items():
        _check_share(f"{key}.{name}", share)
    if sum(value.values()) > 1 + TINY:
        raise UserError(f"{key}: the shares add up to {sum(value.values()):g}: valid are 1 or less")
    return value


def _check_classes(key: str, names: Collection[str], labels: Collection[str]) -> None:
    for name in names if labels else ():
        check_choice(f"class in {key}", name, labels)


def _check_share(key: str, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise UserError(f"{key} = {brief(value)}: valid are numbers from 0 to 1")
