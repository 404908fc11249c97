"""The columns that an environment shows, and the spaces made of the tables in ``features.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l2a_gym.envs.features import DOMAIN, FEATURES, OPERATOR, STUDENT, Column
from l2a_gym.errors import UserError, unknown

Observation = dict[str, NDArray[np.float32]]


USUAL = "*"
"""Stands for the features that are shown where none is named."""
MOST_CLASSES = 10
"""Of more classes, the given label has no columns: they would be most of an observation."""


def check_features(names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """The named features in the table's order; for None all but those on request, as for :data:`USUAL` among names.

    ``label`` needs the number of ``classes`` to be known, so not 0, and at most :data:`MOST_CLASSES`.

    Raises:
        UserError: unknown name, or none at all, or ``label`` without its classes.
    """
    hidden = () if 0 < classes <= MOST_CLASSES else ("label",)
    usual = [name for name, feature in FEATURES.items() if not feature.on_request and name not in hidden]
    if names is None:
        return tuple(usual)
    if not names:
        raise UserError(f"features = []: valid are one or more of {', '.join(FEATURES)}")
    names = [each for name in names for each in (usual if name == USUAL else [name])]
    for name in names:
        if name not in FEATURES:
            raise unknown("feature", name, FEATURES)
        if name in hidden:
            found = f"{classes} classes" if classes else "a task file without labels = [...]"
            raise UserError(f"the feature 'label' needs the names of 2 to {MOST_CLASSES} classes, found {found}")
    return tuple(name for name in FEATURES if name in names)


def candidate_columns(features: Sequence[str], values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names of the candidates' columns: one-hot features have one column for each of their ``values``."""
    return tuple(
        column
        for name in features
        for column in ([f"{name}={value}" for value in values[name]] if name in values else [name])
    )


def column_bounds(columns: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Look up the lowest and the highest value of each of the candidates' columns."""
    return _bounds(FEATURES[column.split("=")[0]] for column in columns)


def observation_space(candidates: int, columns: Sequence[str], domains: int, operators: int) -> spaces.Dict:
    """``candidates`` (N, F), ``student`` (S,), ``domains`` (D, 5) and ``operators`` (O, 5), all float32."""
    low, high = _bounds(STUDENT.values())
    return spaces.Dict(
        {
            "candidates": _table(candidates, *column_bounds(columns)),
            "student": spaces.Box(low, high, dtype=np.float32),
            "domains": _table(domains, *_bounds(DOMAIN.values())),
            "operators": _table(operators, *_bounds(OPERATOR.values())),
        }
    )


def _bounds(columns: Iterable[Column[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low, high = np.array([(column.low, column.high) for column in columns], dtype=np.float32).T
    return low, high


def _table(rows: int, low: NDArray[np.float32], high: NDArray[np.float32]) -> spaces.Box:
    return spaces.Box(np.tile(low, (rows, 1)), np.tile(high, (rows, 1)), dtype=np.float32)
