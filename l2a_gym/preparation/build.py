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

from l2a_gym.augment.config import OPERATORS
from l2a_gym.cache import SEAL, cache_dir, damaged, hashes, locked, seal_of, tidy, write_folder, writing
from l2a_gym.checked import read_json, write_json
from l2a_gym.distill.checkpoint import check_checkpoint
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.data_report import data_report
from l2a_gym.preparation.length import with_length
from l2a_gym.preparation.stages import Stage, stages
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.task import Task

log = logging.getLogger(__name__)


def prepare(task: Task, config: Preparation, device: torch.device) -> Prepared:
    """Open the prepared task in the cache, after building what is missing or damaged.

    Raises:
        UserError: an asset, the checkpoint or the cache folder can't be had, or the checkpoint does not fit the task.
    """
    task = with_length(task, config.checkpoint)
    parts = stages(task, config, device)
    keys = json.dumps(_keys(parts))
    folder = cache_dir() / "prepared" / f"{_slug(task.id)}-{hashlib.sha256(keys.encode()).hexdigest()[:16]}"
    with locked(folder):
        lost = _damaged(folder, parts)
        with writing(folder):
            for name in lost:
                log.warning("%s is damaged: building it again", folder / name)
                (folder / "manifest.json").unlink(missing_ok=True)
                shutil.rmtree(folder / name, ignore_errors=True)
        if not (folder / "manifest.json").is_file():
            data_report(task, config.checkpoint).to_log()
            log.info("preparing %s in %s", task.id, folder)
            _build(folder, parts, task, config)
    return Prepared(folder)


def _slug(task_id: str) -> str:
    name = Path(task_id).stem if task_id.endswith(".toml") else task_id
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _damaged(folder: Path, parts: Mapping[str, Stage]) -> list[str]:
    """What is not as the manifest says; where there is none that can be trusted, as the stages' seals say."""
    file, stands = folder / "manifest.json", [name for name in parts if (folder / name).is_dir()]
    manifest = read_json(file)
    if manifest and manifest.get("stages") == _keys(parts):
        found = {f"{name}/{file}": sha for name in stands for file, sha in hashes(folder / name).items()}
        return sorted({name.split("/")[0] for name, sha in manifest["files"].items() if found.get(name) != sha})
    bad = [name for name in stands if damaged(folder / name, parts[name].key)]
    return [*bad, file.name] if file.exists() else bad


def _keys(parts: Mapping[str, Stage]) -> dict[str, str]:
    return {name: stage.key for name, stage in parts.items()}


def _build(folder: Path, parts: Mapping[str, Stage], task: Task, config: Preparation) -> None:
    check_checkpoint(config.checkpoint, task.max_length)
    tidy(folder)
    for number, (name, stage) in enumerate(parts.items(), start=1):
        if (folder / name).is_dir():
            continue
        twin = _twin(folder, name, stage.key)
        log.info("  %d/%d %s%s", number, len(parts), name, f", as in {twin.parent.name}" if twin else "")
        write_folder(folder / name, partial(_share, twin) if twin else stage.write, stage.key)
    seals = {name: seal_of(folder / name) for name in parts}
    manifest = {
        "task": task.id,
        "domains": task.domains,
        "operators": config.pool.operators(len(task.unlabelled) > 0),
        "labels": task.labels,
        "config": asdict(config),
        "parameters": json.loads((folder / "student" / "parameters.json").read_text(encoding="utf-8")),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}
        | OPERATORS.packages(config.pool.copies),
        "stages": _keys(parts),
        "files": {f"{name}/{file}": sha for name, seal in seals.items() if seal for file, sha in seal.files.items()},
    }
    write_json(folder / "manifest.json", manifest)


def _twin(folder: Path, name: str, key: str) -> Path | None:
    """The same stage of another prepared folder, where it stands undamaged."""
    twins = sorted(other / name for other in folder.parent.glob("*") if (other / name).is_dir())
    return next((twin for twin in twins if not damaged(twin, key)), None)  # a damaged one is mended by its own opening


def _share(twin: Path, folder: Path) -> None:
    """Give a stage's files a second name (nothing writes into a file that stands), or copy them where none can be."""

    def share(source: str, goal: str) -> None:
        try:
            os.link(source, goal)
        except OSError:
            shutil.copy2(source, goal)

    shutil.copytree(twin, folder, ignore=shutil.ignore_patterns(SEAL), copy_function=share, dirs_exist_ok=True)
