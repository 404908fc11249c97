"""From a task id to the task."""

from __future__ import annotations

from typing import Protocol

from l2a_gym.errors import unknown
from l2a_gym.tasks import files, hub, hutto
from l2a_gym.tasks.task import Outline, Task


class _Family(Protocol):
    """What a module of tasks has."""

    def make(self, task_id: str, /) -> Task: ...

    def outline(self, task_id: str, /) -> Outline: ...


def task_ids() -> list[str]:
    """Every registered task id; a path to a task file (``*.toml``) is an id too."""
    return [*hutto.ids(), *hub.ids()]


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


def _family(task_id: str) -> _Family:
    if task_id.endswith(".toml"):
        return files
    if task_id in hub.ids():
        return hub
    if task_id in hutto.ids():
        return hutto
    raise unknown("task", task_id, [*task_ids(), "a path to a task file (*.toml)"])
