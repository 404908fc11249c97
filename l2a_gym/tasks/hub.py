"""Tasks from public data sets of the Hugging Face hub, which ``hub_sets.py`` names.

Nothing is loaded before a task is made. Where ``L2A_DATASETS`` names a folder of saved data sets, the hub is not asked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from l2a_gym.errors import UserError, check_choice, nearest, unknown
from l2a_gym.tasks.fewshot import Given, few_shot_task
from l2a_gym.tasks.formats.arrow import class_name, class_names
from l2a_gym.tasks.formats.layout import check_columns
from l2a_gym.tasks.formats.saved import WHOLE, split_names, split_tables
from l2a_gym.tasks.hub_sets import TASKS, HubSet
from l2a_gym.tasks.normal import normal_form
from l2a_gym.tasks.read import whole
from l2a_gym.tasks.task import Budget, Outline, Task, Texts

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

SHOTS = (16, 64, 100, 256)
TEST = "test"
"""The split that stays the test where the target has it."""
ORIGIN = "origin"
"""The column that is added to each split: where its rows come from."""
LIMIT = 20_000
"""At most this many rows of a set become Python objects: some sets have half a million. It is five times the 4,000
texts that are drawn from a source, because labels and duplicates leave rows out."""


def ids() -> list[str]:
    """All task ids of this family: task x shots."""
    return [f"hub/{name}-{shots}" for name, shots in product(TASKS, SHOTS)]


def make(task_id: str) -> Task:
    """The task of an id that :func:`ids` lists.

    Raises:
        UserError: a set can't be loaded, or lacks a split, column or value that the task names, or has a label that
            the task doesn't name.
    """
    name, shots = _parts(task_id)
    hub_task = TASKS[name]
    target, domains, given = hub_task.target, {}, Given()
    for domain, hub_set in hub_task.domains.items():
        tables = _tables(hub_set)
        if domain == target and TEST in tables:
            given = Given(test=_texts(hub_set, [tables.pop(TEST)], hub_task.labels))
        domains[domain] = _texts(hub_set, tables.values(), hub_task.labels)
    return few_shot_task(task_id, domains, target, hub_task.labels, shots=shots, given=given)


def outline(task_id: str) -> Outline:
    """The domains, budget and classes of an id that :func:`ids` lists; nothing is loaded."""
    task = TASKS[_parts(task_id)[0]]
    return Outline((task.target, *(name for name in task.domains if name != task.target)), Budget(), task.labels)


def _parts(task_id: str) -> tuple[str, int]:
    name, shots = task_id.removeprefix("hub/").rsplit("-", 1)
    return name, int(shots)


def _texts(hub_set: HubSet, tables: Iterable[pa.Table], labels: tuple[str, ...]) -> Texts:
    table = _drawn(hub_set, _joined(hub_set, tables))
    names = class_names(hub_set.title, table.schema, hub_set.label)
    kept, unlabelled = [], 0
    for row in table.to_pylist():
        written = class_name(hub_set.title, row[hub_set.label], names)
        if written is None or written != written:
            unlabelled += 1
            continue
        name = hub_set.class_of(whole(str(written)))
        sides = [str(row[side] or "").strip() for side in hub_set.sides]
        if name is not None and all(map(normal_form, sides)):  # a few questions of QQP are empty
            kept.append((sides, labels.index(name), row[ORIGIN]))
    if unlabelled:
        log.warning("%s: %d of %d rows have no label and are left out", hub_set.title, unlabelled, table.num_rows)
    if not kept:
        valid = ", ".join(hub_set.labels)
        raise UserError(f"{hub_set.title}: no row is left, valid labels in column {hub_set.label!r} are {valid}")
    return Texts(
        text=tuple(sides[0] for sides, _, _ in kept),
        label=np.array([code for _, code, _ in kept], dtype=np.int64),
        pair=tuple(sides[1] for sides, _, _ in kept) if hub_set.pair else None,
        origin=tuple(origin for _, _, origin in kept),
    )


def _drawn(hub_set: HubSet, table: pa.Table) -> pa.Table:
    """The rows that ``where`` lets pass, in their order; of more than :data:`LIMIT`, a draw with a fixed seed."""
    import pyarrow.compute as pc

    for column, value in hub_set.where.items():
        values = table[column].unique().to_pylist()
        if value not in values:
            raise unknown(f"value of column {column!r} of {hub_set.title}", value, map(str, values))
        table = table.filter(pc.equal(table[column], value))
    drawn = np.random.default_rng(0).permutation(len(table))[:LIMIT]
    return table.take(np.sort(drawn))


def _tables(hub_set: HubSet) -> dict[str, pa.Table]:
    """The wanted columns of each wanted split, and :data:`ORIGIN`."""
    root = os.environ.get("L2A_DATASETS")
    splits = _from_disk(hub_set, Path(root)) if root else _from_hub(hub_set)
    return {split: _numbered(" ".join(filter(None, [hub_set.title, split])), table) for split, table in splits}


def _numbered(place: str, table: pa.Table) -> pa.Table:
    return table.append_column(ORIGIN, [[f"{place} row {number}" for number in range(1, len(table) + 1)]])


def _joined(hub_set: HubSet, tables: Iterable[pa.Table]) -> pa.Table:
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"{hub_set.title}: splits have different columns: {error}") from error


def _from_hub(hub_set: HubSet) -> Iterator[tuple[str, pa.Table]]:
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        loaded = datasets.load_dataset(hub_set.path, hub_set.name)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{hub_set.title} can't be loaded from the Hugging Face hub ({reason}): "
            f"set L2A_DATASETS to a folder that holds it as {hub_set.folder}"
        ) from error
    for split in hub_set.splits:
        check_choice(f"split of {hub_set.title}", split, loaded)
        check_columns(hub_set.title, hub_set.columns, loaded[split].column_names)
        yield split, loaded[split].select_columns(hub_set.columns).with_format("arrow")[:]


def _from_disk(hub_set: HubSet, root: Path) -> Iterator[tuple[str, pa.Table]]:
    folder = root / hub_set.folder
    if not folder.is_dir():
        near = nearest(folder.name, [other.name for other in root.glob("*")])
        advice = f"did you mean {near!r}?" if near else "save it there with save_to_disk, or unset L2A_DATASETS"
        raise UserError(f"L2A_DATASETS lacks the folder {folder} for {hub_set.title}: {advice}")
    saved = split_names(folder)
    for split in (WHOLE,) if saved == [WHOLE] else hub_set.splits:  # saved without its splits: taken whole
        check_choice(f"split of {hub_set.title}", split, saved)
        tables = split_tables(folder, split, hub_set.columns, place=hub_set.title, limit=None)
        yield split, _joined(hub_set, tables)
