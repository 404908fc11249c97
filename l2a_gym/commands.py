"""The commands of ``l2a``: each checks its arguments first, and loads torch, which takes seconds, to do the work."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from l2a_gym.augment.config import PoolConfig
from l2a_gym.errors import UserError, check_device, check_least, check_seed
from l2a_gym.experiment.selectors import SELECTORS, load_class
from l2a_gym.experiment.settings import Ablation, Benchmark, Run, Selection, Student, task_slug
from l2a_gym.experiment.suite import TOY
from l2a_gym.speed.settings import Bench
from l2a_gym.tasks.registry import outline

log = logging.getLogger(__name__)

FLAT = tyro.conf.arg(name="")
"""The fields of a dataclass are options without a prefix."""
Folders = Annotated[tuple[Path, ...], tyro.conf.Positional]


@dataclass(frozen=True)
class NoHyperParameters:
    """Those of a selector that has none."""


def hyper_parameters() -> type[Any]:
    """The dataclass of hyper-parameters of the selector that the command line names.

    The selector's module may load torch: this looks only where ``--selector.`` or a selector's help is asked for.
    """
    words = [part for word in sys.argv for part in word.split("=", 1)]
    algo = dict(pairwise(words)).get("--algo", "")
    if any(word.startswith("--selector.") for word in words) or (algo and {"-h", "--help"} & {*words}):
        return getattr(load_class(algo or Run.algo), "config_class", None) or NoHyperParameters
    return NoHyperParameters


def train(
    run: Annotated[Run, FLAT],
    selector: Annotated[Any, tyro.conf.arg(constructor_factory=hyper_parameters)],
    seeds: tuple[int, ...] = (),
    check: bool = False,
) -> None:
    """Train a selector, compare it with the baselines and export the student.

    Args:
        run: the run.
        selector: the selector's own settings; --algo NAME --help lists them.
        seeds: of several trainings, with a table over them, in the place of --seed.
        check: print what there is to know of the data, and stop.
    """
    check_names([run.task], [run.algo], run.device, run.pool)
    for seed in seeds:
        check_seed(seed)
    if check:
        return _print_data_report(run.task, run.checkpoint)
    defaults = type(selector)()
    values = {each.name: getattr(selector, each.name) for each in fields(selector)}
    run = replace(run, selector={name: value for name, value in values.items() if value != getattr(defaults, name)})
    import torch

    from l2a_gym.experiment import train

    log.info("threads: %d to prepare the task and to compare, 1 to train", torch.get_num_threads())
    if seeds:
        train.train_seeds(run, seeds)
    else:
        train.train(run)


def evaluate(runs: Folders, students: int = 5) -> None:
    """Repeat the comparison of finished runs on fresh student seeds.

    Args:
        runs: run folders.
        students: fresh student seeds, the same for all runs.
    """
    if not runs:
        raise UserError("no run is given: name one or more run folders")
    check_least("students", students)
    from l2a_gym.experiment.train import evaluate_run

    for folder in runs:
        evaluate_run(folder, students)


def export(run: tyro.conf.Positional[Path], to: Path | None = None, onnx: bool = False, push: str = "") -> None:
    """Write a run's student as a Hugging Face folder, and push it to a model hub.

    Args:
        run: a run folder.
        to: where to write one that is trained anew; by default that of the run, in student/ of its folder.
        onnx: add ONNX files, in float32 and int8; needs the extra onnx.
        push: a hub id to upload the folder to, such as me/my-student; a new repository is public.
    """
    from l2a_gym.experiment.train import export_run

    export_run(run, to, onnx=onnx, push_to=push)


def select(settings: Annotated[Selection, FLAT]) -> None:
    """Train a selector and write the source texts that it keeps, with their weights."""
    check_names([settings.task], [settings.algo], settings.device, settings.pool)
    from l2a_gym.experiment.select import select

    select(settings)


def prepare(
    task: str = Run.task,
    student: Student = Run.student,
    checkpoint: str = Run.checkpoint,
    pool: str = "lexical",
    device: str = Run.device,
    check: bool = False,
) -> None:
    """Prepare a task ahead of time: fetch assets, fine-tune the teachers, start the student.

    Args:
        task: a task id or the path of a task file.
        student: that of the environment.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        pool: what the candidates are made of: sources, lexical, generated, or the path of a .json file.
        device: auto, cpu, cuda or cuda:<i>.
        check: print what there is to know of the data, and stop.
    """
    check_names([task], device=device, pool=pool)
    if check:
        return _print_data_report(task, checkpoint)
    from l2a_gym.distill.device import resolve_device
    from l2a_gym.preparation.config import Preparation
    from l2a_gym.preparation.open_task import OpenTask

    config = Preparation(checkpoint=checkpoint, student=student, pool=PoolConfig.from_setting(pool))
    print(OpenTask(task).prepared(config, resolve_device(device)).folder)


def benchmark(
    settings: Annotated[Benchmark, FLAT], export_prepared: Path | None = None, import_prepared: Path | None = None
) -> None:
    """Compare selectors on a suite of tasks at equal budgets; the same command again goes on where it was.

    Args:
        settings: the benchmark.
        export_prepared: write the prepared files of all tasks into this file, and stop.
        import_prepared: first put the prepared files of this file into the cache, to replay rows or to add some.
    """
    check_names([task for task in settings.tasks if "@" not in task], settings.selectors, settings.device)
    from l2a_gym.experiment.benchmark import export_tasks, run_benchmark
    from l2a_gym.preparation.parcel import import_prepared as import_folders

    if import_prepared:
        log.info("imported %s", ", ".join(import_folders(import_prepared)))
    if export_prepared:
        print(f"{export_prepared}: SHA-256 {export_tasks(settings, export_prepared)}")
    else:
        run_benchmark(settings)


def report(paths: Folders, out: Path = Path("report"), format: Literal["html", "markdown", "svg"] = "html") -> None:
    """Report a run as a page in its folder, or the rows of a benchmark as a page, as Markdown and as a picture.

    Args:
        paths: run folders, or files of rows of one budget.
        out: folder for report.html, report.md and report.png of the rows.
        format: of a run's page: run.html or run.md; or run.svg, a picture of its curve and of texts with their weights.
    """
    if not paths:
        raise UserError("nothing is given to report on: name run folders or files of rows")
    if paths[0].is_dir():
        from l2a_gym.experiment.report.run_page import write_run_page

        return print(*(write_run_page(path, format) for path in paths), sep="\n")
    from l2a_gym.experiment.report.page import write_report
    from l2a_gym.experiment.report.report import read_report

    print(*write_report(read_report(paths, out), out), sep="\n")


def replay(file: Annotated[Path, tyro.conf.Positional], sample: int = 0, seed: int = 0, tolerance: float = 0.0) -> None:
    """Play the recorded actions of a benchmark's rows again.

    Exits with 1 where a row is refuted, else with 3 where one is not comparable, as the prepared files here are others.

    Args:
        file: rows of a benchmark, such as runs/benchmark-core/rows.jsonl.
        sample: how many rows to draw; 0 for all.
        seed: of the draw.
        tolerance: largest difference of a number that still confirms; 0 suits the kind of processor of the rows.
    """
    check_least("sample", sample, 0)
    check_seed(seed)
    import numpy as np

    from l2a_gym.experiment.replay import Verdict, replay
    from l2a_gym.experiment.rows import read_rows

    rows = read_rows(file)
    if 0 < sample < len(rows):
        drawn = np.random.default_rng(seed).choice(len(rows), sample, replace=False)
        rows = [rows[i] for i in sorted(drawn)]
    found = []
    for number, finding in enumerate(replay(rows, tolerance), start=1):
        found.append(finding.verdict)
        print(f"{number}/{len(rows)} {finding}", flush=True)
    print(f"{found.count(Verdict.CONFIRMED)} of {len(rows)} rows confirmed")
    sys.exit(1 if Verdict.REFUTED in found else 3 if Verdict.NOT_COMPARABLE in found else 0)


def ablate(settings: Annotated[Ablation, FLAT]) -> None:
    """Train final students with one part of the method changed at a time; print what each part is worth."""
    check_names([settings.task], [settings.algo], settings.device, settings.pool)
    from l2a_gym.experiment.ablate import ablate

    ablate(settings)


def diagnose(
    task: str = Run.task,
    texts: int = 128,
    sweeps: int = 8,
    seed: int = 0,
    checkpoint: str = Run.checkpoint,
    pool: str = "generated",
    device: str = Run.device,
    out: Path | None = None,
) -> None:
    """Show what the generator does to texts, sweep by sweep, as a picture and a table.

    Args:
        task: a task id or the path of a task file.
        texts: walks from the target's shots, and from source texts.
        sweeps: of each walk.
        seed: of every draw.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        pool: what is prepared, and how the chain draws: lexical, generated, or the path of a .json file.
        device: auto, cpu, cuda or cuda:<i>.
        out: folder for generator.png, .md and .csv; by default one of the task's own in runs/.
    """
    check_names([task], device=device, pool=pool)
    from l2a_gym.experiment.diagnose import diagnose
    from l2a_gym.experiment.diagnosis import make_folder, write
    from l2a_gym.preparation.config import Preparation

    config = Preparation(checkpoint=checkpoint, pool=PoolConfig.from_setting(pool))
    folder = out or Path("runs") / f"{task_slug(task)}-generator"
    make_folder(folder)
    write(diagnose(task, config, device, texts, sweeps, seed), task, folder)


def bench(settings: Annotated[Bench, FLAT]) -> None:
    """Measure speed: one table of ratios and figures on this machine."""
    check_names([settings.task], device=settings.device)
    from l2a_gym.speed.bench import bench

    bench(settings)


def check_names(
    tasks: Sequence[str] = (), selectors: Sequence[str] = (), device: str = "auto", pool: str = "lexical"
) -> None:
    """Find a task, a selector, a device or a pool that there can't be, as far as names and small files tell.

    Raises:
        UserError: names the first one, and what is near.
    """
    for name in tasks:
        if name != TOY:
            outline(name)
    for name in selectors:
        if name.partition("@")[0] not in SELECTORS.own:  # our own are there, and may load torch
            load_class(name)
    check_device(device)
    PoolConfig.from_setting(pool)


def _print_data_report(task: str, checkpoint: str) -> None:
    from l2a_gym.preparation.data_report import data_report
    from l2a_gym.preparation.open_task import OpenTask

    print(data_report(OpenTask(task).task(checkpoint), checkpoint))


COMMANDS: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (train, evaluate, export, select, prepare, benchmark, report, replay, ablate, diagnose, bench)
}
"""Name -> command; its docstring is its help."""
