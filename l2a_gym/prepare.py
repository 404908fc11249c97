"""From a task and a configuration to everything that an episode needs, kept in a content-addressed folder.

Each stage fills one folder. A stage that stands is not done again: an interrupted preparation goes on where it was, and
a damaged file costs one stage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

from l2a_gym.cache import cache_dir, locked, sha256_of, write_folder, write_text
from l2a_gym.data_report import data_report
from l2a_gym.distill.checkpoint import check_checkpoint
from l2a_gym.prepared import Prepared
from l2a_gym.stages import Preparation, Stage, stages
from l2a_gym.tasks.task import Task

log = logging.getLogger(__name__)


def prepare(task: Task, config: Preparation, device: torch.device) -> Prepared:
    """Open the prepared task in the cache, after building what is missing or damaged.

    Raises:
        UserError: an asset, the checkpoint or the cache folder can't be had, or the checkpoint does not fit the task.
    """
    parts = stages(task, config, device)
    keys = json.dumps({name: stage.key for name, stage in parts.items()})
    folder = cache_dir() / "prepared" / f"{_slug(task.id)}-{hashlib.sha256(keys.encode()).hexdigest()[:16]}"
    with locked(folder):
        for stage in _damaged(folder):
            log.warning("%s is damaged: building it again", folder / stage)
            shutil.rmtree(folder / stage, ignore_errors=True)
            (folder / "manifest.json").unlink(missing_ok=True)
        if not (folder / "manifest.json").is_file():
            data_report(task, config.checkpoint).to_log()
            log.info("preparing %s in %s", task.id, folder)
            _build(folder, parts, task, config)
    return Prepared(folder)


def _slug(task_id: str) -> str:
    name = Path(task_id).stem if task_id.endswith(".toml") else task_id
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _damaged(folder: Path) -> list[str]:
    """Stages with a file that is not what the manifest says; a manifest that can't be read puts all in doubt."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return []
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        bad = [name for name, sha in files.items() if not (folder / name).is_file() or sha256_of(folder / name) != sha]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["manifest.json", *sorted(path.name for path in folder.iterdir() if path.is_dir())]
    return sorted({name.split("/")[0] for name in bad})


def _build(folder: Path, parts: Mapping[str, Stage], task: Task, config: Preparation) -> None:
    check_checkpoint(config.checkpoint, task.max_length)
    for left in folder.glob(".*"):  # by a process that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    for number, (name, stage) in enumerate(parts.items(), start=1):
        if (folder / name).is_dir():
            continue
        twin = _twin(folder, name, stage.key)
        log.info("  %d/%d %s%s", number, len(parts), name, f", as in {twin.parent.name}" if twin else "")
        write_folder(folder / name, partial(_share, twin) if twin else stage.write)
    manifest = {
        "task": task.id,
        "domains": task.domains,
        "operators": config.pool.names,
        "labels": task.labels,
        "config": asdict(config),
        "parameters": json.loads((folder / "student" / "parameters.json").read_text(encoding="utf-8")),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        "stages": {name: stage.key for name, stage in parts.items()},
        "files": {
            str(file.relative_to(folder)): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()
        },
    }
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1))


def _twin(folder: Path, name: str, key: str) -> Path | None:
    """The same stage of another prepared folder, where it stands undamaged."""
    for other in sorted(folder.parent.glob("*/manifest.json")):
        try:
            manifest = json.loads(other.read_text(encoding="utf-8"))
            files = {file: sha for file, sha in manifest["files"].items() if file.startswith(f"{name}/")}
            if manifest["stages"][name] == key and all(sha256_of(other.parent / f) == files[f] for f in files):
                return other.parent / name
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged: its own opening mends it
            continue
    return None


def _share(twin: Path, folder: Path) -> None:
    """Give a stage's files a second name (nothing writes into a file that stands), or copy them where none can be."""

    def share(source: str, goal: str) -> None:
        try:
            os.link(source, goal)
        except OSError:
            shutil.copy2(source, goal)

    shutil.copytree(twin, folder, copy_function=share, dirs_exist_ok=True)
