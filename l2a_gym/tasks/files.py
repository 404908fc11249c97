"""A user's own task, described by one small TOML file; ``docs/tasks.md`` shows every key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from l2a_gym.errors import UserError
from l2a_gym.tasks.fewshot import few_shot_task
from l2a_gym.tasks.labels import class_names, labelled, texts_of
from l2a_gym.tasks.read import read_examples
from l2a_gym.tasks.task import Outline, Task, Texts
from l2a_gym.tasks.task_file import data_files, read_task_file

_PER_CLASS = 2
"""How many target texts each class needs."""


def make(path: str) -> Task:
    """The task that a TOML file describes; its id is ``path``.

    Raises:
        UserError: something is wrong with the file or with the data that it names.
    """
    spec, layout, budget = read_task_file(path)
    examples = {
        domain: labelled(path, domain, (row for file in files for row in read_examples(file, layout)), spec.labels)
        for domain, files in data_files(path, spec).items()
    }
    labels = class_names(path, spec.labels, examples)
    pairs = bool(layout.columns.pair)
    domains = {name: texts_of(rows, labels, pairs=pairs) for name, rows in examples.items()}
    _check_target(path, spec.target, domains[spec.target], labels)
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
    return replace(task, budget=budget, max_length=spec.max_length or (96 if pairs else 48))


def outline(path: str) -> Outline:
    """The domains and the budget of a task file; no text is read.

    Raises:
        UserError: something is wrong with the file.
    """
    spec, _, budget = read_task_file(path)
    return Outline((spec.target, *(name for name in spec.domains if name != spec.target)), budget)


def _check_target(where: str, target: str, texts: Texts, labels: tuple[str, ...]) -> None:
    count = np.bincount(texts.label, minlength=len(labels))
    for label, n in zip(labels, count, strict=True):
        if n < _PER_CLASS:
            raise UserError(
                f"{where}: the target {target} has {n} texts of class {label!r}: valid are {_PER_CLASS} or more"
            )
