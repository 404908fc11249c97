"""Does trainings and preparations in forks of one process, to spare their starts, and copies what kills would leave.

A request in, an answer out: ``{"do": "train", "out": ..., "every": 11, "copies": ...}`` copies the run's folder before
each 11th change of the disk.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.settings import MaskedTraining
from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.finetune import FineTuning
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.errors import UserError
from l2a_gym.experiment import progress
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.train import train
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.tasks.registry import make_task

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
CPU = torch.device("cpu")


def do_train(request: dict[str, Any]) -> None:
    progress.SAVE_EVERY = -1.0  # whenever something is logged
    train(Run(**request["run"] | {"out": Path(request["out"])}))


def do_prepare(request: dict[str, Any]) -> None:
    tuning = FineTuning(updates=2, batch=16, learning_rate=1e-3, looks=1)
    general = GeneralDistillation(updates=1, batch=16)
    config = Preparation(checkpoint=request["checkpoint"], few_shot=tuning, all_data=tuning, general=general)
    prepare(make_task(request["task"]), config, CPU)


def do_masked_lm(request: dict[str, Any]) -> None:
    config = MaskedTraining(updates=2, adapt_updates=1, batch=16)
    masked_lm_of(make_task(request["task"]), request["checkpoint"], config, 0, CPU)


DO: dict[str, Callable[[dict[str, Any]], None]] = {
    "train": do_train,
    "prepare": do_prepare,
    "masked-lm": do_masked_lm,
}


class Changes:
    """Counts the changes of the disk from now on, and copies a folder before every so many.

    A copy is what a process that is killed there leaves: neither has what still waits in the process to be written.
    """

    def __init__(self, folder: Path, copies: Path, every: int) -> None:
        self.folder, self.copies, self.every = folder, copies, every
        self.count, self.copying = 0, False
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and arguments[2] and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if self.copying or not (event in CHANGES or (opened and not str(arguments[0]).startswith("/dev/"))):
            return
        self.count += 1
        if self.count % self.every == 0:
            self.copying = True
            copy = self.copies / str(self.count)
            shutil.copytree(self.folder, copy) if self.folder.exists() else copy.mkdir(parents=True)
            self.copying = False


class Warnings(logging.Handler):
    """Warnings of damages; those of the data report belong to every new preparation."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "l2a_gym.preparation.data_report":
            self.messages.append(record.getMessage())


def answer(request: dict[str, Any]) -> dict[str, Any]:
    os.environ["L2A_CACHE"] = str(request["cache"])
    warnings, error = Warnings(), ""
    logging.getLogger("l2a_gym").addHandler(warnings)
    if "every" in request:
        Changes(
            Path(request["out" if request["do"] == "train" else "cache"]), Path(request["copies"]), request["every"]
        )
    try:
        DO[request["do"]](request)
    except UserError as mistake:
        error = str(mistake)
    except BaseException:
        error = traceback.format_exc()
    return {"error": error, "warnings": warnings.messages}


def in_fork(request: dict[str, Any]) -> Any:
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return json.loads(said)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.write(write, json.dumps(answer(request)).encode())
    os._exit(0)


def serve(pipe: Connection, checkpoint: str) -> None:
    """Answer requests until the pipe is closed."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    load_teacher(checkpoint, 2, 0)  # so that no fork has to import all that this needs
    with suppress(EOFError):
        while True:
            pipe.send(in_fork(pipe.recv()))
