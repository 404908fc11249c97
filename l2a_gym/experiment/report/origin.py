"""Where rows come from: what lies beside their file, and the commands that make and check them again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from l2a_gym.errors import UserError

ROWS, FAILURES, CONFIG = "rows.jsonl", "failures.jsonl", "config.json"
"""Of a benchmark's folder: its rows, which runs came to none, and the settings of its command."""


def read_config(file: Path) -> dict[str, Any]:
    """The settings of the benchmark's command; none where there is no such file, or where it is a run's.

    Raises:
        UserError: the file holds no settings of a benchmark.
    """
    if not file.exists():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if "algo" in config:  # of a run
            return {}
        check_type(config["suite"], str)
        for name in ("seeds", "tasks", "selectors"):
            check_type(
                config.get(name, []), list[int | str], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS
            )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, TypeCheckError) as error:
        raise UserError(f"{file} holds no settings of a benchmark ({error}): mend it or move it away") from error
    return dict(config)


def title_of(files: Sequence[Path]) -> str:
    """The suites' names; of rows without settings beside them, the folder's."""
    names = [str(read_config(file.parent / CONFIG).get("suite") or file.resolve().parent.name) for file in files]
    return ", ".join(dict.fromkeys(names))


def commands_of(files: Sequence[Path], folder: Path) -> dict[str, str]:
    """What a command is for -> the command, as it is typed in the project's folder."""
    configs = [config for file in files if (config := read_config(file.parent / CONFIG))]
    repeat = list(dict.fromkeys(shlex.join(["l2a", "benchmark", *flags(config)]) for config in configs))
    replay = [shlex.join(["l2a", "replay", str(file)]) for file in files]
    report = shlex.join(["l2a", "report", *map(str, files), "--out", str(folder)])
    found = {"repeat": " && ".join(repeat), "replay": " && ".join(replay), "report": report}
    return {purpose: command for purpose, command in found.items() if command}


def flags(config: Mapping[str, Any]) -> list[str]:
    """Settings as options of a command line; what is empty, false or null stays at its default."""
    options = []
    for name, value in config.items():
        if value not in (None, False, "", []):
            values = [] if value is True else value if isinstance(value, list) else [value]
            options += [f"--{name.replace('_', '-')}", *map(str, values)]
    return options
