"""Prepare a task ahead of time: fetch assets, fine-tune the teachers, start the student."""

from dataclasses import dataclass

from l2a_gym.augment.config import PoolConfig
from l2a_gym.cli import run_cli
from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.distill.device import resolve_device
from l2a_gym.distill.student import student_names
from l2a_gym.envs.setup import DEFAULT_TASK
from l2a_gym.errors import check_choice
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.data_report import data_report
from l2a_gym.tasks.registry import make_task


@dataclass(frozen=True)
class Arguments:
    """Prepare a task.

    Attributes:
        task: a task id or the path of a task file.
        student: tiny, ratio, tinybert or pruned.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        pool: what the candidates are made of: sources, lexical, generated, or the path of a .json file.
        device: auto, cpu, cuda or cuda:<i>.
        check: print what there is to know of the data, and stop.
    """

    task: str = DEFAULT_TASK
    student: str = "tiny"
    checkpoint: str = EMBEDDED
    pool: str = "lexical"
    device: str = "auto"
    check: bool = False


def main(arguments: Arguments) -> None:
    check_choice("student", arguments.student, student_names())
    pool = PoolConfig.of(arguments.pool)
    config = Preparation(checkpoint=arguments.checkpoint, student=arguments.student, pool=pool)
    task = make_task(arguments.task)
    if arguments.check:
        print(data_report(task, arguments.checkpoint))
    else:
        print(prepare(task, config, resolve_device(arguments.device)).folder)


if __name__ == "__main__":
    run_cli(Arguments, main)
