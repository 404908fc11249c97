"""The TOML file of a user's own task: its keys, their types and ranges; ``docs/tasks.md`` shows every key."""

from __future__ import annotations

import os
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from l2a_gym.errors import UserError, brief, unknown
from l2a_gym.tasks.formats.disk import SMALL, read_text
from l2a_gym.tasks.formats.layout import Columns, Layout
from l2a_gym.tasks.task import Budget, part_name
from l2a_gym.wording import CONTROL

Paths = str | list[str]
"""A path or several, relative to the task file's folder."""
Noise = float | dict[str, Any]
"""A share of wrong labels for every source, or the wrong labels of each source."""
GIVEN = ("test", "dev", "unlabelled")
"""The keys that name files of the target besides its domain."""

_TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text in quotes"),
    int: ((int,), "a whole number"),
    list[str]: ((list,), "a list of names in quotes"),
    dict[str, Any]: ((dict,), "a table"),
    Noise: ((int, float, dict), "a number or a table"),
    Paths: ((str, list), "a path or a list of paths"),
}
"""Type of a key -> what TOML may give for it, and how an error calls that."""
_RANGES = {
    "labels_total": (4, 2**63),
    "seed": (0, 2**63),
    "source_limit": (1, 2**63),
    "max_length": (4, 513),
    "size_limit": (1, 2**31),
}
"""Key -> the lowest valid value, and the first that is too high."""
_QUOTES = "write a Windows path in single quotes, in which a backslash is a backslash"


@dataclass(frozen=True)
class TaskFile:
    """The keys of a task file with the names, types and defaults that they have there.

    Attributes:
        target: the target domain's name.
        domains: domain name -> a path or a list of paths, relative to the task file's folder.
        shots: labelled target texts to train on.
        labels_total: labelled target texts to train on and for dev and select; 0: no budget.
        test: the target's test texts; empty: drawn from its domain.
        dev: the target's dev texts, likewise.
        unlabelled: more texts of the target, without labels.
        labels: the class names in order; empty: the sorted distinct labels of the data.
        noise: the wrong labels of sources, see :mod:`l2a_gym.tasks.trouble_keys`.
        resample: source -> class -> the share of it that the source is to have.
        seed: of the splits, the shots and the troubles.
        source_limit: at most this many texts are drawn from each source.
        max_length: texts are cut at this many tokens; 0: by the data.
        delimiter: the character between the cells of the CSV files.
        size_limit: megabytes that a data file may have, and its wanted cells in memory.
        columns: the keys of :class:`~l2a_gym.tasks.formats.layout.Columns`.
        budget: the keys of :class:`~l2a_gym.tasks.task.Budget`.
    """

    target: str
    domains: dict[str, Any]
    shots: int = 0
    labels_total: int = 0
    test: Paths = field(default_factory=list)
    dev: Paths = field(default_factory=list)
    unlabelled: Paths = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    noise: Noise = field(default_factory=dict)
    resample: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    source_limit: int = 4000
    max_length: int = 0
    delimiter: str = Layout.delimiter
    size_limit: int = Layout.size_limit
    columns: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)


def read_task_file(path: str) -> tuple[TaskFile, Layout, Budget]:
    """A task file's keys, and what they say of data files and of the budget; no data file is opened.

    Raises:
        UserError: something is wrong with the file.
    """
    _check_name("the task file", path)
    spec = TaskFile(**_checked(TaskFile, path, _toml(Path(path))))
    columns = Columns(**_checked(Columns, f"{path} [columns]", spec.columns))
    _check_columns(path, columns)
    if len(spec.delimiter) != 1 or spec.delimiter in '"\r\n':
        raise UserError(f'{path}: delimiter = {brief(spec.delimiter)} is not one character between cells, like ";"')
    _check_labels(path, spec.labels)
    if not spec.shots and not spec.labels_total:
        raise UserError(f"{path}: the key 'shots' is missing, or 'labels_total'")
    if len(spec.domains) < 2:
        raise UserError(f"{path} [domains]: {len(spec.domains)} given: a task needs the target and at least one source")
    if spec.target not in spec.domains:
        raise unknown(f"target in {path}", spec.target, spec.domains)
    sizes = _checked(Budget, f"{path} [budget]", spec.budget)
    try:
        budget = Budget(**sizes)
    except ValueError as error:
        raise UserError(f"{path} [budget]: {error}") from error
    return spec, Layout(columns, spec.delimiter, spec.size_limit), budget


def _check_columns(where: str, columns: Columns) -> None:
    """A group can be the same column as a text: all rows with the same hypothesis."""
    for key in ("text", "label"):
        if not getattr(columns, key):
            raise UserError(f"{where} [columns]: {key} = '' names no column")
    others = [*columns.sides, columns.label, *filter(None, [columns.split])]
    if len(set(others)) < len(others):
        raise UserError(f"{where} [columns]: {', '.join(others)} must be different columns")
    if columns.group and columns.group in others[len(columns.sides) :]:
        raise UserError(f"{where} [columns]: group = {columns.group!r} is the column of labels or splits")


def data_files(where: str, spec: TaskFile) -> dict[str, list[Path]]:
    """The paths of each domain, and of each part of the target that has files of its own, by :func:`part_name`.

    Raises:
        UserError: a value that is no path, a path that is given twice, or a domain that is called like such a part.
    """
    own = {key: getattr(spec, key) for key in GIVEN if getattr(spec, key)}
    for key in GIVEN:
        if (taken := part_name(spec.target, key)) in spec.domains:
            raise UserError(f"{where} [domains]: {taken!r} is the name of the target's own {key} texts: choose another")
    named = [(f" [domains]: {name}", name, value) for name, value in spec.domains.items()]
    named += [(f": {key}", part_name(spec.target, key), value) for key, value in own.items()]
    files: dict[str, list[Path]] = {}
    owner: dict[str, str] = {}
    for key, name, value in named:
        _check_name(f"{where} [domains]: the domain", name)
        files[name] = []
        for each in _paths(where + key, value):
            file = Path(where).parent / each
            place = os.path.realpath(file)
            if place in owner:
                raise UserError(f"{where} [domains]: {file} stands in {owner[place]} and again in {name}")
            owner[place] = name
            files[name].append(file)
    return files


def _paths(where: str, value: Any) -> list[str]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(each, str) for each in given):
        raise UserError(f"{where} = {brief(value)} is neither a path nor a list of paths")
    for each in given:
        if CONTROL.search(each):
            raise UserError(f"{where} = {each!r} has a control character: {_QUOTES}")
    return given


def _toml(file: Path) -> dict[str, Any]:
    text = read_text(file, SMALL)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        if "overwrite" in reason or "twice" in reason:
            reason = f"a name stands twice: {reason}"
        elif "hex value" in reason or "Unescaped" in reason:
            reason = f"{reason}: {_QUOTES}"
        raise UserError(f"{file} is not valid TOML: {reason}") from error
    except RecursionError as error:
        raise UserError(f"{file} is nested too deeply to be read") from error
    except ValueError as error:  # what remains: int() takes no more digits
        raise UserError(f"{file} has a number with more digits than can be read") from error


def _checked(kind: type[TaskFile | Columns | Budget], where: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table itself, once its keys, and their types and ranges, are those of the dataclass."""
    hints = get_type_hints(kind)
    for key, value in table.items():
        if key not in hints:
            raise unknown(f"key in {where}", key, hints)
        types, words = _TYPES[hints[key]]
        if type(value) not in types:
            raise UserError(f"{where}: {key} = {brief(value)} is not {words}")
        if key in _RANGES and not _RANGES[key][0] <= value < _RANGES[key][1]:
            low, high = _RANGES[key]
            raise UserError(f"{where}: {key} = {value} is out of range: valid are numbers from {low} to below {high}")
    for each in fields(kind):
        if each.default is MISSING and each.default_factory is MISSING and each.name not in table:
            raise UserError(f"{where}: the key {each.name!r} is missing")
    return table


def _check_labels(where: str, labels: list[str]) -> None:
    if not all(isinstance(label, str) and label.strip() == label != "" for label in labels):
        raise UserError(f"{where}: labels = {brief(labels)} is not {_TYPES[list[str]][1]}")
    for label in labels:
        _check_name(f"{where}: the name", label)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise UserError(f"{where}: labels names {twice!r} twice")


def _check_name(kind: str, name: str) -> None:
    """Names, and a task's path is one, are shown in terminals and on pages, which obey control characters."""
    if CONTROL.search(name):
        raise UserError(f"{kind} {name!r} has a control character or a line break")
