"""The names that ``l2a_gym`` offers."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import l2a_agents
import pytest

import l2a_gym


def test_each_public_name_is_there_and_checkers_know_it() -> None:
    tree = ast.parse(Path(str(l2a_gym.__file__)).read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        (alias.name, node.module) for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == {(name, f"l2a_gym.{module}") for name, module in l2a_gym._MODULES.items()}
    assert {name for name, _ in imported} | {"UserError"} == {*l2a_gym.__all__}
    for name in l2a_gym.__all__:
        assert getattr(l2a_gym, name).__name__ == name
    assert {*l2a_gym.__all__} <= {*dir(l2a_gym)}
    assert l2a_gym.__version__ == version("l2a-gym")
    with pytest.raises(AttributeError, match="module 'l2a_gym' has no attribute 'prepared'"):
        _ = l2a_gym.prepared
    for package in (l2a_gym, l2a_agents):
        assert Path(str(package.__file__)).with_name("py.typed").is_file()


def test_the_import_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, l2a_gym\n"
        "from l2a_gym import Run, Task, make_task, task_ids\n"
        "print(*{'torch', 'transformers', 'datasets', 'tyro'} & {*sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tyro"]
