"""A task for several environments: its texts are read once, and each preparation is opened once."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cached_property

import torch

from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.length import with_length
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.registry import make_task, outline
from l2a_gym.tasks.task import Outline, Task


class OpenTask:
    """A task id, or the path of a task file, that remembers what was read; ``task=`` of an environment takes it.

    Environments made with the same one share its texts and its prepared folders, and see the files as they were when
    they were first read. A copy is the same object; a pickle is the name alone.

    Example:
        >>> task = OpenTask("hutto/nyt-64")
        >>> envs = [gym.make("l2a_gym:L2A-Distill-v0", task=task, teacher=name) for name in ("few-shot", "all-data")]

    Args:
        name: the id or path.

    Attributes:
        name: the same.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: dict[str, Task] = {}
        self._prepared: dict[str, Prepared] = {}

    @cached_property
    def outline(self) -> Outline:
        """What is known before the texts are read.

        Raises:
            UserError: an unknown id, or something wrong with the task file.
        """
        return outline(self.name)

    @cached_property
    def _given(self) -> Task:
        return make_task(self.name)

    def task(self, checkpoint: str) -> Task:
        """The texts, and how many tokens of them the checkpoint is given.

        Raises:
            UserError: something wrong with the files or the texts, or no checkpoint.
        """
        if checkpoint not in self._tasks:
            self._tasks[checkpoint] = with_length(self._given, checkpoint)
        return self._tasks[checkpoint]

    def prepared(self, config: Preparation, device: torch.device) -> Prepared:
        """What is made of the texts; built where it is missing or damaged.

        Raises:
            UserError: an asset, the checkpoint or the cache folder can't be had.
        """
        key = json.dumps([asdict(config), str(device)])
        if key not in self._prepared:
            self._prepared[key] = prepare(self.task(config.checkpoint), config, device)
        return self._prepared[key]

    def __fspath__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: object) -> OpenTask:
        return self

    def __reduce__(self) -> tuple[type[OpenTask], tuple[str]]:
        return OpenTask, (self.name,)


def opened(task: str | OpenTask) -> OpenTask:
    """The task itself, or the task of a name."""
    return task if isinstance(task, OpenTask) else OpenTask(task)
