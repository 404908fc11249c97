"""Settings of experiments, which are their command lines too; nothing here loads torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, Suppress

from l2a_gym.errors import UserError, check_choice, check_least, check_seed, unknown
from l2a_gym.experiment.frames import WRITERS
from l2a_gym.experiment.suite import TOY, Suite, suite_of
from l2a_gym.experiment.variants import FULL, VARIANTS, Variant

Student = Literal["tiny", "ratio", "tinybert", "pruned"]
Teacher = Literal["few-shot", "all-data", "frozen-few-shot", "frozen-all-data", "cross-fitted", "mean"]

METHOD: dict[str, dict[str, Any]] = {
    "l2a": {"pool": "generated", "export_student": "pruned"},
}
"""Presets: the whole method teaches a better start, on more texts."""
USUAL: dict[str, Any] = {"pool": "lexical"}
"""What other selectors get."""
SHAPING = (
    *("algo", "selector", "task", "seed", "teacher", "student", "checkpoint", "metric", "pool"),
    *("general_updates", "rounds"),
)
"""Settings that make another run of a run; the others say how long it trains, and how it is evaluated."""
OF_ENVIRONMENT = ("device", "teacher", "student", "checkpoint", "metric", "pool", "general_updates")
"""Settings that are arguments of the environment."""


@dataclass(frozen=True)
class Run:
    """Train a selector, compare it with the baselines and export the student.

    Attributes:
        algo: a registered selector, or my_module:MySelector.
        task: a task id, the path of a task file, or toy.
        budget: student updates and dev passes to spend on training.
        seed: of the selector's training; the students' seeds follow from it.
        num_envs: students that learn side by side while the selector is trained.
        device: auto, cpu, cuda or cuda:<i>.
        teacher: whose logits teach the student.
        student: that of the environment.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        metric: of the reward.
        pool: what the candidates are made of: sources, lexical, generated, or the path of a .json file; by default
            generated for l2a and lexical for the others.
        general_updates: at most this many updates of the student's general distillation before the first episode; 0 for
            none.
        rounds: how often the selector is trained; before each further time the pool is made anew, and the all-data
            teacher tuned again, from the texts that the selector prefers.
        students: final students by which each selector is scored.
        export_student: the exported one; by default pruned for l2a, and for the others as student.
        export_steps: steps of the episode that trains it; by default 100 for two classes, and 50 more for each doubling
            of the classes.
        onnx: add ONNX files to the exported student, in float32 and int8; needs the extra onnx.
        candidates: parquet, or csv for candidates.csv beside candidates.parquet.
        out: the run folder; by default runs/<task>-<algo>-s<seed>.
        selector: values of the selector's own hyper-parameters, laid over their defaults.
    """

    algo: str = "influence"
    task: str = "hutto/nyt-64-noise40"
    budget: int = 1000
    seed: int = 0
    num_envs: int = 1
    device: str = "auto"
    teacher: Teacher = "few-shot"
    student: Student = "tiny"
    checkpoint: str = "embedded"
    metric: Literal["nll", "accuracy", "macro_f1"] = "nll"
    pool: str = ""
    general_updates: int = 1200
    rounds: int = 1
    students: int = 3
    export_student: Student | None = None
    export_steps: int | None = None
    onnx: bool = False
    candidates: Literal["parquet", "csv"] = "parquet"
    out: Path | None = None
    selector: Annotated[Mapping[str, Any], Suppress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in METHOD.get(self.algo, USUAL).items():
            if getattr(self, name) in (None, ""):
                object.__setattr__(self, name, value)
        if self.export_student is None:
            object.__setattr__(self, "export_student", self.student)
        for name in ("budget", "num_envs", "rounds", "students"):
            check_least(name, getattr(self, name))
        if self.export_steps is not None:
            check_least("export_steps", self.export_steps)
        check_least("general_updates", self.general_updates, 0)
        check_seed(self.seed)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out or Path("runs") / f"{task_slug(self.task)}-{self.algo.replace(':', '-')}-s{self.seed}"

    @property
    def environment(self) -> dict[str, Any]:
        """Arguments of the environment besides the task."""
        return {name: getattr(self, name) for name in OF_ENVIRONMENT}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"out": str(self.folder)}


@dataclass(frozen=True)
class Selection(Run):
    """Train a selector and write the source texts that it trusts, with their weights.

    Attributes:
        task: a task id or the path of a task file.
        out: the file to write, which must not be there: .parquet, .csv or .jsonl.
        least: the smallest weight that is written; the largest is 1. With 0, all that the selector keeps at all.
    """

    task: Annotated[str, Positional] = Run.task
    export_student: Annotated[Student | None, Suppress] = None
    export_steps: Annotated[int | None, Suppress] = None
    onnx: Annotated[bool, Suppress] = False
    candidates: Annotated[Literal["parquet", "csv"], Suppress] = "parquet"
    out: Path = Path("clean.parquet")
    least: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.least <= 1:
            raise UserError(f"least = {self.least}: valid are numbers from 0 to 1")
        if self.task == TOY:
            raise UserError("the toy's candidates are no texts: name another task")
        if self.out.suffix not in WRITERS:
            raise unknown(f"suffix of {self.out}", self.out.suffix, WRITERS)
        if self.out.exists():
            raise UserError(f"{self.out} is there already: move it away or name another file with --out")

    @property
    def run(self) -> Run:
        """The run that trains the selector, in its usual folder."""
        return Run(**{each.name: getattr(self, each.name) for each in fields(Run)} | {"out": None})


@dataclass(frozen=True)
class Ablation(Run):
    """Train final students with one part of the method changed at a time; print what each part is worth.

    Attributes:
        variants: names of variants to run besides full; by default all.
    """

    algo: str = "l2a"
    students: int = 6
    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.variants:
            check_choice("variant", name, [variant.name for variant in VARIANTS])
        check_least("students", self.students, 2)  # which an interval needs

    @property
    def folder(self) -> Path:
        """The ablation's folder, by default runs/<task>-ablation."""
        return self.out or Path("runs") / f"{task_slug(self.task)}-ablation"

    @property
    def full(self) -> Run:
        """The full method's run."""
        return Run(**{each.name: getattr(self, each.name) for each in fields(Run)} | {"out": self.folder / FULL})

    def chosen(self) -> list[Variant]:
        """The variants to run, the full method first."""
        return [each for each in VARIANTS if not self.variants or each.name in (FULL, *self.variants)]

    def run_of(self, variant: Variant) -> Run:
        """The run that trains a variant's selector: full's own where its environment and selector are the same."""
        changed = replace(self.full, **variant.run)
        name = variant.name.replace(",", "").replace(" ", "-")
        return changed if changed == self.full else replace(changed, out=self.folder / name)


@dataclass(frozen=True)
class Benchmark:
    """Compare selectors on a suite of tasks at equal budgets; the same command again goes on where it was.

    Attributes:
        suite: smoke, core, questions, questions-800 or full: tasks, budget, seeds and selectors, all but the tasks as
            the suite has them unless given here.
        tasks: in the place of the suite's; the path of a task file is one as well, and <task>@generated has a pool
            with generated texts.
        selectors: registered names, my_module:MySelector, or <name>@shuffled and <name>@frozen for controls.
            ``none``, ``uniform``, the fixed rules, ``random-search`` and ``best-rule`` are always compared.
        seeds: training seeds in the place of the suite's.
        tuning: the suite's tuning seeds in the place of its test seeds, for choosing settings.
        executor: where trainings are done: processes of this machine, or a Ray cluster.
        workers: trainings at a time on this machine; by default one a processor.
        address: of a Ray cluster; by default one is begun on this machine.
        device: auto, cpu, cuda or cuda:<i>.
        student: that of the environment.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        out: folder of rows and report; by default runs/benchmark-<suite>.
    """

    suite: str = "smoke"
    tasks: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    tuning: bool = False
    executor: Literal["local", "ray"] = "local"
    workers: int = os.cpu_count() or 1
    address: str = ""
    device: str = "auto"
    student: Student = "tiny"
    checkpoint: str = "embedded"
    out: Path | None = None

    def __post_init__(self) -> None:
        suite_of(self.suite)
        check_least("workers", self.workers)
        for seed in self.seeds:
            check_seed(seed)
        if self.tuning and self.seeds:
            raise UserError("--tuning names the suite's tuning seeds: valid is it or --seeds, not both")

    @property
    def frozen(self) -> Suite:
        """The suite."""
        return suite_of(self.suite)

    @property
    def folder(self) -> Path:
        """Where rows and report lie."""
        return self.out or Path("runs") / f"benchmark-{self.suite}{'-tuning' if self.tuning else ''}"

    @property
    def environment(self) -> dict[str, str]:
        """Arguments of the environment besides the task."""
        return {"device": self.device, "student": self.student, "checkpoint": self.checkpoint}


def task_slug(task: str) -> str:
    """A task's part of a folder's name."""
    return Path(task).stem if task.endswith(".toml") else task.replace("/", "-")
