"""A user's own task, described by one small TOML file; ``docs/tasks.md`` shows every key."""

from __future__ import annotations

from dataclasses import replace

from l2a_gym.tasks.classes import check_found
from l2a_gym.tasks.fewshot import few_shot_task
from l2a_gym.tasks.labels import class_names, labelled, texts_of
from l2a_gym.tasks.read import read_examples, whole
from l2a_gym.tasks.task import Outline, Task
from l2a_gym.tasks.task_file import data_files, read_task_file


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
    if not spec.labels:
        written = {name: [(row.place, whole(row.label or "")) for row in rows] for name, rows in examples.items()}
        check_found(path, spec.target, written)
    pairs = bool(layout.columns.pair)
    domains = {name: texts_of(rows, labels, pairs=pairs) for name, rows in examples.items()}
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
    return replace(task, budget=budget, max_length=spec.max_length)


def outline(path: str) -> Outline:
    """The domains and the budget of a task file; no text is read.

    Raises:
        UserError: something is wrong with the file.
    """
    spec, _, budget = read_task_file(path)
    return Outline((spec.target, *(name for name in spec.domains if name != spec.target)), budget)
