"""A user's own task, described by one small TOML file; ``docs/tasks.md`` shows every key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import numpy as np

from l2a_gym.errors import UserError, unknown
from l2a_gym.tasks.classes import check_found
from l2a_gym.tasks.fewshot import few_shot_task
from l2a_gym.tasks.read import Columns, Example, read_examples, read_utf8
from l2a_gym.tasks.task import Budget, Outline, Task, Texts

_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text in quotes"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    list: ((list,), "a list of names in quotes"),
    dict: ((dict,), "a table"),
}
"""Type of a key -> what TOML may give for it, and how an error calls that."""
_RANGES = {"noise": (0, 1), "seed": (0, 2**63), "source_limit": (1, 2**63), "max_length": (4, 513)}
"""Key -> the lowest valid value, and the first that is too high."""
_CLASSES = (2, 200)
"""How few and how many classes a task may have."""


@dataclass(frozen=True)
class TaskFile:
    """The keys of a task file with the names, types and defaults that they have there.

    Attributes:
        target: the target domain's name.
        shots: labelled target texts to train on.
        domains: domain name -> a path or a list of paths, seen from the task file's folder.
        labels: the class names in order; empty: the sorted distinct labels of the data.
        noise: share of source labels, in [0, 1), to flip.
        seed: of the splits, the shots and the flips.
        source_limit: at most this many texts are drawn from each source.
        max_length: texts are cut at this many tokens; 0: 48, or 96 for pairs.
        columns: the keys of :class:`Columns`.
        budget: the keys of :class:`~l2a_gym.tasks.task.Budget`.
    """

    target: str
    shots: int
    domains: dict[str, Any]
    labels: list[str] = field(default_factory=list)
    noise: float = 0.0
    seed: int = 0
    source_limit: int = 4000
    max_length: int = 0
    columns: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)


def make(path: str) -> Task:
    """The task that a TOML file describes; its id is ``path``.

    Raises:
        UserError: something is wrong with the file or with the data that it names.
    """
    spec, columns, budget = _settings(path)
    files = _files(path, spec)
    examples = {name: [row for file in files[name] for row in read_examples(file, columns)] for name in files}
    labels = _labels(path, spec, examples)
    if not spec.labels:
        places = {name: [(place, label) for place, label, _ in rows] for name, rows in examples.items()}
        check_found(path, spec.target, places)
    domains = {name: _texts(rows, labels, columns) for name, rows in examples.items()}
    task = few_shot_task(
        path,
        domains,
        spec.target,
        labels,
        shots=spec.shots,
        noise=spec.noise,
        source_limit=spec.source_limit,
        seed=spec.seed,
    )
    return replace(task, budget=budget, max_length=spec.max_length or (96 if columns.pair else 48))


def outline(path: str) -> Outline:
    """The domains and the budget of a task file; no text is read.

    Raises:
        UserError: something is wrong with the file.
    """
    spec, _, budget = _settings(path)
    return Outline((spec.target, *(name for name in spec.domains if name != spec.target)), budget)


def _settings(path: str) -> tuple[TaskFile, Columns, Budget]:
    spec = TaskFile(**_checked(TaskFile, path, _toml(Path(path))))
    columns = Columns(**_checked(Columns, f"{path} [columns]", spec.columns))
    if len(set(columns.names)) < len(columns.names):
        raise UserError(f"{path} [columns]: {', '.join(columns.names)} must be different columns")
    if len(spec.domains) < 2:
        raise UserError(f"{path} [domains]: {len(spec.domains)} given: a task needs the target and at least one source")
    if spec.target not in spec.domains:
        raise unknown(f"target in {path}", spec.target, spec.domains)
    sizes = _checked(Budget, f"{path} [budget]", spec.budget)
    try:
        budget = Budget(**sizes)
    except ValueError as error:
        raise UserError(f"{path} [budget]: {error}") from error
    return spec, columns, budget


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_utf8(file))
    except tomllib.TOMLDecodeError as error:
        twice = "overwrite" in str(error) or "twice" in str(error)
        raise UserError(f"{file} is not valid TOML: {'a name stands twice: ' if twice else ''}{error}") from error


def _checked(kind: type[TaskFile | Columns | Budget], where: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table itself, once its keys, and their types and ranges, are those of the dataclass."""
    hints = get_type_hints(kind)
    for key, value in table.items():
        if key not in hints:
            raise unknown(f"key in {where}", key, hints)
        types, words = _TYPES[get_origin(hints[key]) or hints[key]]
        if type(value) not in types:
            raise UserError(f"{where}: {key} = {value!r} is not {words}")
        if key in _RANGES and not _RANGES[key][0] <= value < _RANGES[key][1]:
            low, high = _RANGES[key]
            raise UserError(f"{where}: {key} = {value} is out of range: valid are numbers from {low} to below {high}")
    for each in fields(kind):
        if each.default is MISSING and each.default_factory is MISSING and each.name not in table:
            raise UserError(f"{where}: the key {each.name!r} is missing")
    return table


def _files(where: str, spec: TaskFile) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    owner: dict[Path, str] = {}
    for name, value in spec.domains.items():
        given = value if isinstance(value, list) else [value]
        if not given or not all(isinstance(each, str) for each in given):
            raise UserError(f"{where} [domains]: {name} = {value!r} is neither a path nor a list of paths")
        files[name] = [Path(where).parent / each for each in given]
        for file in files[name]:
            if file.resolve() in owner:
                raise UserError(f"{where} [domains]: {file} stands in {owner[file.resolve()]} and again in {name}")
            owner[file.resolve()] = name
    return files


def _labels(where: str, spec: TaskFile, examples: Mapping[str, list[Example]]) -> tuple[str, ...]:
    found = sorted({label for rows in examples.values() for _, label, _ in rows})
    if all(label.removeprefix("-").isdecimal() for label in found):
        found.sort(key=int)
    labels = spec.labels or found
    if not all(isinstance(label, str) and label.strip() == label != "" for label in labels):
        raise UserError(f"{where}: labels = {labels!r} is not {_TYPES[list][1]}")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise UserError(f"{where}: labels names {twice!r} twice")
    if not _CLASSES[0] <= len(labels) <= _CLASSES[1]:
        source = "labels" if spec.labels else "the data"
        some = ", ".join(labels[:3])
        raise UserError(f"{where}: {source} has {len(labels)} classes ({some}, ...): valid are 2 to 200")
    return tuple(labels)


def _texts(rows: list[Example], labels: tuple[str, ...], columns: Columns) -> Texts:
    codes = {name: code for code, name in enumerate(labels)}
    numbers = {str(code): code for code in codes.values()}
    if not numbers.keys() & codes.keys():  # where names are numbers themselves, a number is a name
        codes |= numbers
    for place, written, _ in rows:
        if written not in codes:
            raise unknown(f"label at {place}", written, labels)
    text, *pair = zip(*(sides for _, _, sides in rows), strict=True)
    label = np.array([codes[written] for _, written, _ in rows], dtype=np.int64)
    return Texts(text, label, pair[0] if columns.pair else None)
