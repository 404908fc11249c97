"""Show what the generator does to texts, sweep by sweep, as a picture and a table."""

from dataclasses import dataclass
from pathlib import Path

from l2a_gym.augment.config import PoolConfig
from l2a_gym.benchmark.generator import diagnose
from l2a_gym.benchmark.generator_report import make_folder, write
from l2a_gym.cli import run_cli
from l2a_gym.distill.teacher import EMBEDDED
from l2a_gym.envs.distill_aug import DEFAULT_TASK
from l2a_gym.stages import Preparation


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
        out: the folder to write to.
    """

    task: str = DEFAULT_TASK
    texts: int = 128
    sweeps: int = 8
    seed: int = 0
    checkpoint: str = EMBEDDED
    pool: str = "generated"
    device: str = "auto"
    out: Path = Path("runs/generator")


def main(arguments: Arguments) -> None:
    config = Preparation(checkpoint=arguments.checkpoint, pool=PoolConfig.of(arguments.pool))
    make_folder(arguments.out)
    rows = diagnose(arguments.task, config, arguments.device, arguments.texts, arguments.sweeps, arguments.seed)
    write(rows, arguments.task, arguments.out)


if __name__ == "__main__":
    run_cli(Arguments, main)
