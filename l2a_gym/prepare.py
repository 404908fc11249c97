"""From a task and a configuration to everything that an episode needs, kept in a content-addressed folder.

Each stage fills one folder. A stage that stands is not done again: an interrupted preparation goes on where it was, and
a damaged file costs one stage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from l2a_gym.cache import cache_dir, locked, sha256_of, write_folder, write_text
from l2a_gym.distill.teacher import local_files
from l2a_gym.prepared import Prepared
from l2a_gym.stages import Preparation, splits, stages
from l2a_gym.tasks.task import Task

log = logging.getLogger(__name__)

FORMAT = 3
"""Rises whenever the same configuration gives other files."""


def prepare(task: Task, config: Preparation, device: torch.device) -> Prepared:
    """Open the prepared task in the cache, after building what is missing or damaged.

    Raises:
        UserError: an asset, the checkpoint or the cache folder can't be had.
    """
    folder = cache_dir() / "prepared" / f"{_slug(task.id)}-{_key(task, config)}"
    with locked(folder):
        for stage in _damaged(folder):
            log.warning("%s is damaged: building it again", folder / stage)
            shutil.rmtree(folder / stage, ignore_errors=True)
            (folder / "manifest.json").unlink(missing_ok=True)
        if not (folder / "manifest.json").is_file():
            log.info("preparing %s in %s", task.id, folder)
            _build(folder, task, config, device)
    return Prepared(folder)


def _slug(task_id: str) -> str:
    name = Path(task_id).stem if task_id.endswith(".toml") else task_id
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _key(task: Task, config: Preparation) -> str:
    """Hash of all that shapes the folder: configuration, texts, labels, flips, and a local checkpoint's files."""
    shape = asdict(config)
    shape["pool"]["preference"] = config.pool.preference and sha256_of(Path(config.pool.preference))
    settings = [FORMAT, task.id, task.domains, task.max_length, task.labels, shape]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for texts in (*splits(task).values(), *task.sources.values()):
        digest.update(json.dumps([texts.text, texts.pair, texts.label.tolist()]).encode())
    for flipped in task.flipped.values():
        digest.update(flipped.tobytes())
    digest.update("".join(local_files(config.checkpoint)).encode())
    return digest.hexdigest()[:16]


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


def _build(folder: Path, task: Task, config: Preparation, device: torch.device) -> None:
    writers = stages(task, config, device)
    for left in folder.glob(".*"):  # by a process that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    for number, (name, write) in enumerate(writers.items(), start=1):
        if not (folder / name).is_dir():
            log.info("  %d/%d %s", number, len(writers), name)
            write_folder(folder / name, write)
    manifest = {
        "task": task.id,
        "domains": task.domains,
        "operators": config.pool.names,
        "labels": task.labels,
        "config": asdict(config),
        "parameters": json.loads((folder / "student" / "parameters.json").read_text(encoding="utf-8")),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        "files": {
            str(file.relative_to(folder)): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()
        },
    }
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1))
