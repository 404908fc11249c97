"""Does trainings and preparations in forks of one process, which spares their starts, and kills them on request.

A line of JSON in, one out: ``{"do": "train", "cache": ..., "kill_at": 7, ...}`` ends at its 7th change of the disk.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
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
    """Counts the changes of the disk from now on, and ends the process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.count = kill_at, 0
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and arguments[2] and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or (opened and not str(arguments[0]).startswith("/dev/")):
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


class Warnings(logging.Handler):
    """Warnings of damages; those of the data report belong to every new preparation."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "l2a_gym.preparation.data_report":
            self.messages.append(record.getMessage())


def answer(request: dict[str, Any]) -> dict[str, Any]:
    os.environ["L2A_CACHE"] = request["cache"]
    warnings, error = Warnings(), ""
    logging.getLogger("l2a_gym").addHandler(warnings)
    changes = Changes(request.get("kill_at", 0))
    try:
        DO[request["do"]](request)
    except UserError as mistake:
        error = str(mistake)
    except BaseException:
        error = traceback.format_exc()
    return {"changes": changes.count, "error": error, "warnings": warnings.messages}


def in_fork(request: dict[str, Any]) -> dict[str, Any]:
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        return {"killed": os.WIFSIGNALED(status), **json.loads(said or b"{}")}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.write(write, json.dumps(answer(request)).encode())
    os._exit(0)


if __name__ == "__main__":
    load_teacher(sys.argv[1], 2, 0)  # so that no fork has to import all that this needs
    for line in sys.stdin:
        print(json.dumps(in_fork(json.loads(line))), flush=True)
