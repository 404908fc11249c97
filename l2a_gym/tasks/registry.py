"""From a task id to the task."""

from __future__ import annotations

from l2a_gym.errors import unknown
from l2a_gym.tasks import files, hutto
from l2a_gym.tasks.task import Outline, Task


def task_ids() -> list[str]:
    """Every registered task id; a path to a task file (``*.toml``) is an id too."""
    return hutto.ids()


def make_task(task_id: str) -> Task:
    """Build the task of an id, or of a path to a task file.

    Raises:
        UserError: unknown id, or something wrong with the file or its texts.
    """
    return files.make(task_id) if _is_file(task_id) else hutto.make(task_id)


def outline(task_id: str) -> Outline:
    """What is known of a task before its texts are read.

    Raises:
        UserError: unknown id, or something wrong with the task file.
    """
    return files.outline(task_id) if _is_file(task_id) else hutto.outline(task_id)


def _is_file(task_id: str) -> bool:
    if task_id.endswith(".toml"):
        return True
    if task_id not in task_ids():
        raise unknown("task", task_id, [*task_ids(), "a path to a task file (*.toml)"])
    return False
