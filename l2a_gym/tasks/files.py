"""A user's own task, described by one small TOML file; ``docs/tasks.md`` shows every key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from l2a_gym.tasks.classes import check_found
from l2a_gym.tasks.fewshot import Given, few_shot_task
from l2a_gym.tasks.formats.layout import Columns, Layout
from l2a_gym.tasks.given import by_split
from l2a_gym.tasks.labels import class_names, labelled, texts_of
from l2a_gym.tasks.read import Example, read_examples, whole
from l2a_gym.tasks.task import Outline, Task, part_name
from l2a_gym.tasks.task_file import GIVEN, TaskFile, data_files, read_task_file
from l2a_gym.tasks.trouble_keys import troubles_of


def make(path: str) -> Task:
    """The task that a TOML file describes; its id is ``path``.

    Raises:
        UserError: something is wrong with the file or with the data that it names.
    """
    spec, layout, budget = read_task_file(path)
    troubles_of(path, spec, spec.labels)  # a mistake is found before any data are read
    files = data_files(path, spec)
    bare = files.pop(part_name(spec.target, "unlabelled"), [])
    examples = _examples(path, spec, layout, files)
    labels = class_names(path, spec.labels, examples)
    if not spec.labels:
        written = {name: [(row.place, whole(row.label or "")) for row in rows] for name, rows in examples.items()}
        check_found(path, [spec.target, *(name for name in examples if name not in spec.domains)], written)
    pairs = bool(layout.columns.pair)
    texts = {name: texts_of(rows, labels, pairs=pairs) for name, rows in examples.items()}
    if bare:
        plain = replace(layout, columns=Columns(layout.columns.text, layout.columns.pair, label=""))
        rows = [row for file in bare for row in read_examples(file, plain)]
        texts[part_name(spec.target, "unlabelled")] = texts_of(rows, labels, pairs=pairs)
    given = {key: texts[name] for key in GIVEN if (name := part_name(spec.target, key)) in texts}
    task = few_shot_task(
        path,
        {name: texts[name] for name in spec.domains},
        spec.target,
        labels,
        given=Given(**given),
        shots=spec.shots,
        labels_total=spec.labels_total,
        troubles=troubles_of(path, spec, labels),
        source_limit=spec.source_limit,
        seed=spec.seed,
    )
    return replace(task, budget=budget, max_length=spec.max_length)


def outline(path: str) -> Outline:
    """What a task file says of its task; no text is read.

    Raises:
        UserError: something is wrong with the file.
    """
    spec, _, budget = read_task_file(path)
    troubles_of(path, spec, spec.labels)
    domains = (spec.target, *(name for name in spec.domains if name != spec.target))
    return Outline(domains, budget, tuple(spec.labels), unlabelled=bool(spec.unlabelled))


def _examples(
    path: str, spec: TaskFile, layout: Layout, files: Mapping[str, Sequence[Path]]
) -> dict[str, list[Example]]:
    """The labelled rows of each domain, and of each part of the target that its data give."""
    columns = layout.columns
    part = replace(layout, columns=replace(columns, split=""))
    source = replace(part, optional=tuple({columns.group} - {"", *columns.sides}))
    examples = {}
    for name, paths in files.items():
        own = layout if name == spec.target else source if name in spec.domains else part
        rows = (row for file in paths for row in read_examples(file, own))
        examples[name] = labelled(path, name, rows, spec.labels)
    if columns.split:
        rows_of_target = examples.pop(spec.target)
        examples |= by_split(path, spec.target, rows_of_target, examples)
    return examples
