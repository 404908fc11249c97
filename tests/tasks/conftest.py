"""A user's own task in a folder of its own, for tests of what stands in data files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks.files import make
from l2a_gym.tasks.task import Task, Texts

TEXTS = 24


class OwnTask:
    """A task file whose target ``clinic`` has 24 texts, every second ``pos``, the others ``neg``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.csv("clinic.csv", [(f"visit {n}", ("pos", "neg")[n % 2]) for n in range(TEXTS)])

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def csv(self, name: str, rows: Iterable[tuple[object, object]]) -> Path:
        return self.write(name, "".join(f"{text},{label}\n" for text, label in [("text", "label"), *rows]))

    def make(self, source: str, keys: str = "", *, clinic: str = "clinic.csv") -> Task:
        """The task whose source ``shop`` lies in the file or folder ``source``."""
        return make(str(self.write("task.toml", toml_of(source, keys, clinic))))

    def rows(self, source: str, keys: str = "", *, clinic: str = "clinic.csv") -> list[tuple[str, str]]:
        """The source's texts with their class names."""
        task = self.make(source, keys, clinic=clinic)
        return named(task, task.sources["shop"])

    def message(self, source: str, keys: str = "", *, clinic: str = "clinic.csv") -> str:
        """The error that making the task gives."""
        return self.message_of(toml_of(source, keys, clinic))

    def message_of(self, toml: str) -> str:
        """The error that a task file of that content gives."""
        self.write("task.toml", toml)
        return self.refusal()

    def refusal(self) -> str:
        """The error that the task file gives as it stands, without the folder."""
        with pytest.raises(UserError) as caught:
            make(str(self.folder / "task.toml"))
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(f"{self.folder}/", "")


def toml_of(source: str, keys: str, clinic: str) -> str:
    return f"target = 'clinic'\nshots = 4\n{keys}\n[domains]\nclinic = '{clinic}'\nshop = '{source}'\n"


def named(task: Task, texts: Texts) -> list[tuple[str, str]]:
    return [(text, task.labels[code]) for text, code in zip(texts.text, texts.label, strict=True)]


@pytest.fixture
def own(tmp_path: Path) -> OwnTask:
    return OwnTask(tmp_path)
