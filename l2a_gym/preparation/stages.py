"""The stages of a preparation, each with the key of all that shapes its files, in their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from l2a_gym.augment import generator
from l2a_gym.augment.config import OPERATORS
from l2a_gym.cache import sha256_of
from l2a_gym.distill.checkpoint import local_files
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.regressions import write_cross_fitted, write_out_of_fold
from l2a_gym.preparation.texts import fingerprint, fingerprint_of_texts
from l2a_gym.preparation.write_answers import write_answers
from l2a_gym.preparation.write_pool import write_pool, write_tokens
from l2a_gym.preparation.write_student import write_signals, write_student
from l2a_gym.preparation.write_teachers import write_all_data, write_base, write_few_shot
from l2a_gym.tasks.task import Task

FORMAT = 7
"""Rises whenever the same configuration gives other files."""
HEADS = "heads on mean vectors, gain 0.03, sources that are credible and help"
"""Changes whenever the same settings make other teachers."""


@dataclass(frozen=True)
class Stage:
    """A part of a preparation.

    Attributes:
        write: fills the stage's folder; it reads the folders of other stages beside it.
        key: hash of everything that shapes its files.
    """

    write: Callable[[Path], None]
    key: str


def stages(task: Task, config: Preparation, device: torch.device) -> dict[str, Stage]:
    """Name -> stage, in their order.

    The teachers know neither pool nor student, and the pool no student: preparations that differ there share them. So
    do tasks that differ in the labels of sources alone, as a clean one and its noisy twin, what knows none of these.
    """
    how = [config.checkpoint, local_files(config.checkpoint), config.seed]
    asked, texts = [fingerprint(task), *how], [fingerprint_of_texts(task), *how]
    shots = [texts, len(task.labels), task.train.label.tolist(), task.dev.label.tolist()]
    preference = config.pool.preference and sha256_of(Path(config.pool.preference))
    packages = OPERATORS.packages(config.pool.copies)
    pool = [asked, generator.FORMAT, asdict(config.pool) | {"preference": preference}, *packages.items()]
    tokens = [pool, config.student, "pieces of the texts that may be seen, the target's first, then words"]
    few_shot = [shots, asdict(config.few_shot), HEADS]
    out_of_fold = [asked, "labels of sources and train"]
    all_data = [asked, asdict(config.all_data), preference, HEADS]
    cross_fitted = [asked, "labels of train, dev and select"]
    answers = [pool, few_shot, all_data, cross_fitted, out_of_fold]
    signals = [answers, "by sources as they are, up to FITTED"]
    towers = [] if task.train.pair is None else ["two towers, means of states"]
    student = [tokens, answers, asdict(config.general), "no more mixed texts than candidates", *towers]
    return {
        "pool": Stage(partial(write_pool, task, config, device), _key("pool", pool)),
        "tokens": Stage(partial(write_tokens, task, config), _key("tokens", tokens)),
        "base": Stage(partial(write_base, task, config, device), _key("base", texts)),
        "few-shot": Stage(partial(write_few_shot, task, config, device), _key("few-shot", few_shot)),
        "out-of-fold": Stage(partial(write_out_of_fold, task, config), _key("out-of-fold", out_of_fold)),
        "all-data": Stage(partial(write_all_data, task, config, device), _key("all-data", all_data)),
        "cross-fitted": Stage(partial(write_cross_fitted, task, config), _key("cross-fitted", cross_fitted)),
        "answers": Stage(partial(write_answers, task, config, device), _key("answers", answers)),
        "signals": Stage(partial(write_signals, config), _key("signals", signals)),
        "student": Stage(partial(write_student, task, config, device), _key("student", student)),
    }


def _key(name: str, settings: Any) -> str:
    return hashlib.sha256(json.dumps([FORMAT, name, settings], sort_keys=True).encode()).hexdigest()[:16]
