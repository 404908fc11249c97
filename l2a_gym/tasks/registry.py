"""From a task id to the task."""

from __future__ import annotations

from typing import Protocol

from l2a_gym.errors import unknown
from l2a_gym.plugins import Registry
from l2a_gym.tasks import files
from l2a_gym.tasks.task import Outline, Task


class Tasks(Protocol):
    """What a module of tasks has."""

    def make(self, task_id: str, /) -> Task:
        """The task of an id."""
        ...

    def outline(self, task_id: str, /) -> Outline:
        """What is known of it before its texts are read."""
        ...


class Family(Tasks, Protocol):
    """Tasks that are registered; each id begins with the family's name and a slash."""

    def ids(self) -> list[str]:
        """All of them."""
        ...


FAMILIES: Registry[Family] = Registry(
    "task family", "l2a_gym.task_families", {"hutto": "l2a_gym.tasks.hutto", "hub": "l2a_gym.tasks.hub"}
)
"""Name -> family."""


def task_ids() -> list[str]:
    """Every registered task id; a path to a task file (``*.toml``) is an id too.

    Raises:
        UserError: a package that adds a family can't be imported, or two have the same name.
    """
    return [task_id for family in FAMILIES.values() for task_id in family.ids()]


def make_task(task_id: str) -> Task:
    """Build the task of an id, or of a path to a task file.

    Raises:
        UserError: unknown id, or something wrong with the file, the data set or its texts.
    """
    return _family(task_id).make(task_id)


def outline(task_id: str) -> Outline:
    """What is known of a task before its texts are read.

    Raises:
        UserError: unknown id, or something wrong with the task file.
    """
    return _family(task_id).outline(task_id)


def _family(task_id: str) -> Tasks:
    if task_id.endswith(".toml"):
        return files
    name = task_id.partition("/")[0]
    searched = [name] if name in FAMILIES else [*FAMILIES.own]
    ids = {each: FAMILIES[each].ids() for each in searched}
    if task_id in ids.get(name, []):
        return FAMILIES[name]
    others = [f"{each}/..." for each in FAMILIES if each not in ids]
    valid = [each for family in ids.values() for each in family]
    raise unknown("task", task_id, [*valid, *others, "a path to a task file (*.toml)"])
