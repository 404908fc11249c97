"""Show what the generator does to texts, sweep by sweep, as a picture and a table."""

from dataclasses import dataclass
from pathlib import Path

from l2a_gym.augment.config import PoolConfig
from l2a_gym.cli import run_cli
from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.envs.setup import DEFAULT_TASK
from l2a_gym.experiment.diagnose import diagnose
from l2a_gym.experiment.diagnosis import make_folder, write
from l2a_gym.experiment.run import task_slug
from l2a_gym.preparation.config import Preparation
from l2a_gym.tasks.registry import outline


@dataclass(frozen=True)
class Arguments:
    """Diagnose the generator; writes generator.png, generator.md and generator.csv.

    Attributes:
        task: a task id or the path of a task file.
        texts: walks from the target's shots, and from source texts.
        sweeps: of each walk.
        seed: of every draw.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        pool: what is prepared, and how the chain draws: lexical, generated, or the path of a .json file.
        device: auto, cpu, cuda or cuda:<i>.
        out: the folder to write to; by default one of the task's own in runs/.
    """

    task: str = DEFAULT_TASK
    texts: int = 128
    sweeps: int = 8
    seed: int = 0
    checkpoint: str = EMBEDDED
    pool: str = "generated"
    device: str = "auto"
    out: Path | None = None


def main(arguments: Arguments) -> None:
    config = Preparation(checkpoint=arguments.checkpoint, pool=PoolConfig.of(arguments.pool))
    outline(arguments.task)  # a mistake in its name or file is found before a folder is made
    folder = arguments.out or Path("runs") / f"{task_slug(arguments.task)}-generator"
    make_folder(folder)
    rows = diagnose(arguments.task, config, arguments.device, arguments.texts, arguments.sweeps, arguments.seed)
    write(rows, arguments.task, folder)


if __name__ == "__main__":
    run_cli(Arguments, main)
