"""The rules of docs/architecture.md on who imports whom, read off the source: imports within functions count too."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "l2a_gym", ROOT / "agents" / "l2a_agents")
FLOORS = (
    ("errors", "wording", "progress", "config", "cache", "checked", "assets", "plugins"),
    ("tasks",),
    ("distill",),
    ("augment",),
    ("preparation",),
    ("envs",),
    ("experiment",),
    ("speed",),
    ("cli", "commands", "__main__", "__init__"),
)
"""Parts of ``l2a_gym``, those that know least first; none imports a part of a later floor."""
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}


def module_name(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts)


MODULES = {module_name(path, package): path for package in PACKAGES for path in sorted(package.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """The modules of the two packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {own(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {own(f"{node.module}.{alias.name}") for alias in node.names}
    return found - {""}


def own(name: str) -> str:
    """The module that a dotted name lies in; an empty string where it is none of ours."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in MODULES:
                return module
        name = name.rpartition(".")[0]
    return ""


IMPORTS = {module: imported(path) - {module} for module, path in MODULES.items()}


def part(module: str) -> str:
    """``envs`` for ``l2a_gym.envs.toy``."""
    return module.split(".")[1]


def is_agent(module: str) -> bool:
    return module.startswith("l2a_agents.")


def arrows() -> list[tuple[str, str]]:
    return [(module, target) for module, targets in IMPORTS.items() for target in sorted(targets)]


def test_every_part_has_its_floor() -> None:
    assert {part(module) for module in MODULES if not is_agent(module)} <= set(FLOOR)


def test_no_import_leads_to_a_higher_floor() -> None:
    inside = [(one, other) for one, other in arrows() if not is_agent(one) and not is_agent(other)]
    assert [each for each in inside if FLOOR[part(each[0])] < FLOOR[part(each[1])]] == []


def test_the_environments_side_and_the_agents_do_not_know_each_other() -> None:
    between = [(one, other) for one, other in arrows() if is_agent(one) != is_agent(other)]
    assert [(one, other) for one, other in between if is_agent(one) or FLOOR[part(one)] <= FLOOR["envs"]] == []


def test_bars_are_made_in_one_place() -> None:
    """Others would write thousands of carriage returns into a log."""
    assert [name for name, path in MODULES.items() if "tqdm" in libraries(path)] == ["l2a_gym.progress"]


def libraries(path: Path) -> set[str]:
    """What a file imports, anywhere in it, by the first part of its name."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | parts}


def test_no_imports_go_in_a_circle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))
