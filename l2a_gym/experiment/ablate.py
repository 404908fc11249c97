"""What each part of the method is worth: final students with one part changed at a time, paired by seed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from l2a_gym.cache import locked, write_text
from l2a_gym.errors import UserError, check_choice
from l2a_gym.experiment.ablation_table import as_csv, effects, markdown
from l2a_gym.experiment.evaluate import UNIFORM, best_student, final_student, score_teacher, student_seeds
from l2a_gym.experiment.run import SHAPING, USUAL, Run, new_selector, task_slug
from l2a_gym.experiment.runner import check_folders, check_run, open_folder, sources_of, train_rounds
from l2a_gym.experiment.stage import stage

STREAM = 3
"""The stream of the ablation's student seeds; runs have the streams before it."""
FULL = "full"
"""The variant that all are compared with."""
FILES = ("rows.jsonl", "ablation.md", "ablation.csv")
"""What an ablation leaves in its folder besides its config.json and its runs."""


@dataclass(frozen=True)
class Variant:
    """The method with one part changed.

    Attributes:
        name: its name in the table.
        run: settings of the run that differ.
        teacher: whose logits teach the final student; None: the teacher that is better on ``select``.
        distillation: values of the final student's distillation that differ.
    """

    name: str
    run: Mapping[str, Any] = field(default_factory=dict)
    teacher: str | None = None
    distillation: Mapping[str, float] = field(default_factory=dict)


SOURCES = {"pool": "sources"}
ALIKE = {"algo": UNIFORM, "rounds": 1}  # without a preference there is nothing to make the pool anew from
VARIANTS = (
    Variant(FULL),
    Variant("without generator", SOURCES),
    Variant("without selector", ALIKE),
    Variant("without both", {**SOURCES, **ALIKE}),
    Variant("without both, short", {**SOURCES, **ALIKE, "export_steps": USUAL["export_steps"]}),
    Variant("without general distillation", {"general_updates": 0}),
    Variant("hard labels only", distillation={"alpha": 0.0}),
    Variant("soft labels only", distillation={"alpha": 1.0}),
    Variant("few-shot teacher", teacher="few-shot"),
    Variant("all-data teacher", teacher="all-data"),
)


@dataclass(frozen=True)
class Ablation:
    """An ablation; the attributes are the command line of ``scripts/ablate.py``.

    Attributes:
        task: a task id or the path of a task file.
        algo: a registered selector, or my_module:MySelector.
        budget: student updates and dev passes to spend on training each selector.
        pool: what the candidates are made of: sources, lexical, generated, or the path of a .json file; by default
            generated for l2a and lexical for the others.
        rounds: how often the selector is trained, on a pool that is made anew each time.
        seed: of the selectors' training; the student seeds follow from it.
        seeds: final students of each variant, the same seeds for all.
        export_student: the final students, of the same kinds; by default pruned for l2a, and for the others as student.
        export_steps: steps of the episode that trains one; by default 200 for l2a and 100 for the others.
        num_envs: students that learn side by side while a selector is trained.
        device: auto, cpu, cuda or cuda:<i>.
        student: that of the environment: tiny, ratio, tinybert or pruned.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        variants: names of variants to run besides full; by default all.
        out: the ablation's folder; by default runs/<task>-ablation.
    """

    task: str = "hutto/nyt-64-noise40"
    algo: str = "l2a"
    budget: int = 5000
    pool: str = ""
    rounds: int = 1
    seed: int = 0
    seeds: int = 6
    export_student: str = ""
    export_steps: int | None = None
    num_envs: int = 2
    device: str = "auto"
    student: str = "tiny"
    checkpoint: str = "embedded"
    variants: tuple[str, ...] = ()
    out: Path | None = None

    def __post_init__(self) -> None:
        for name in self.variants:
            check_choice("variant", name, [variant.name for variant in VARIANTS])
        if self.seeds < 2:
            raise UserError(f"seeds = {self.seeds}: valid are whole numbers from 2, which an interval needs")

    @property
    def folder(self) -> Path:
        """The ablation's folder."""
        return self.out or Path("runs") / f"{task_slug(self.task)}-ablation"

    @property
    def run(self) -> Run:
        """The full method's run."""
        shared = {each.name for each in fields(Run)} & {each.name for each in fields(self)}
        return Run(**{name: getattr(self, name) for name in shared} | {"out": self.folder / FULL})

    def chosen(self) -> list[Variant]:
        """The variants to run, the full method first."""
        return [each for each in VARIANTS if not self.variants or each.name in (FULL, *self.variants)]

    def run_of(self, variant: Variant) -> Run:
        """The run that trains a variant's selector: full's own where its environment and selector are the same."""
        changed = replace(self.run, **variant.run)
        name = variant.name.replace(",", "").replace(" ", "-")
        return changed if changed == self.run else replace(changed, out=self.folder / name)


@dataclass(frozen=True)
class Student:
    """A variant's final student.

    Attributes:
        variant: the variant's name.
        seed: of the episode that trained it.
        teacher: whose logits taught it; none where only labels did.
        policy: the name of what weighted its candidates.
        parameters: its share of the teacher's parameters.
        dev: accuracy on dev.
        test: accuracy on test.
        few_shot_teacher: that teacher's accuracy on test.
        all_data_teacher: that teacher's accuracy on test.
        seconds: that its training took.
    """

    variant: str
    seed: int
    teacher: str
    policy: str
    parameters: float
    dev: float
    test: float
    few_shot_teacher: float
    all_data_teacher: float
    seconds: float


def ablate(plan: Ablation) -> list[dict[str, Any]]:
    """Train the final students of all variants that are missing; write, print and return the table.

    The ablation's folder holds the trained selectors (a run folder for each), ``rows.jsonl`` (a line for each student,
    written as soon as it is trained; those that stand are not trained again), ``ablation.md`` and ``ablation.csv``.

    Returns:
        A row a variant, see :func:`effect`.

    Raises:
        UserError: a setting that is not valid, or a folder that holds something else.
    """
    check_same_ablation(plan)
    check_run(plan.run)  # finds what is wrong before the folder is made
    with locked(plan.folder):
        check_same_ablation(plan)  # another process may have filled the folder
        open_folder(plan.folder, settings(plan))
        rows = effects(train_students(plan), plan.chosen())
        text = markdown(plan, rows)
        write_text(plan.folder / "ablation.md", text)
        write_text(plan.folder / "ablation.csv", as_csv(rows))
    print(text)
    return rows


def settings(plan: Ablation) -> dict[str, Any]:
    """An ablation's settings for JSON; pool and rounds as they are after the defaults."""
    return {**plan.run.as_dict(), "seeds": plan.seeds, "variants": plan.variants, "out": str(plan.folder)}


def check_same_ablation(plan: Ablation) -> None:
    """Refuse a folder that holds a run, another ablation, or files of the user's.

    More seeds and other variants are the same ablation.

    Raises:
        UserError: names the first setting that differs, or the user's file.
    """
    earlier, now = read_settings(plan.folder), settings(plan)
    if earlier and "variants" not in earlier:
        raise UserError(f"{plan.folder} holds a run and no ablation: give another folder with --out")
    for name in (*SHAPING, "budget", "export_student", "export_steps"):
        if earlier and earlier.get(name) != now[name]:
            found = f"{name} = {earlier.get(name)!r}"
            raise UserError(f"{plan.folder} holds an ablation with {found}: give another folder with --out")
    if not earlier and (found := next((name for name in FILES if (plan.folder / name).exists()), "")):
        raise UserError(f"{plan.folder} holds {found}, and no config.json of an ablation: give another with --out")
    for variant in plan.chosen():
        check_folders(plan.run_of(variant))


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings in an ablation's folder; none where it has no config.json.

    Raises:
        UserError: they can't be read.
    """
    file = folder / "config.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file} can't be read ({error}): give another folder with --out") from error


def train_students(plan: Ablation) -> list[Student]:
    """The final students of all variants that are to run, on the same seeds; those in ``rows.jsonl`` are taken."""
    file, seeds, variants = plan.folder / "rows.jsonl", student_seeds(STREAM, plan.seeds, plan.run.seed), plan.chosen()
    found = {(student.variant, student.seed): student for student in read_students(file)}
    wanted = [(variant.name, seed) for variant in variants for seed in seeds]
    with tqdm(total=len(wanted), initial=sum(key in found for key in wanted), unit="student", desc="ablating") as bar:
        for variant in variants:
            missing = [seed for seed in seeds if (variant.name, seed) not in found]
            for student in students_of(variant, plan.run_of(variant), missing):
                found[student.variant, student.seed] = student
                write_text(file, "".join(json.dumps(asdict(each)) + "\n" for each in found.values()))
                bar.update()
    return [found[key] for key in wanted]


def read_students(file: Path) -> list[Student]:
    """The students in a file; a line that was cut off is passed over."""
    students = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with suppress(ValueError, TypeError):
            students.append(Student(**json.loads(line)))
    return students


def students_of(variant: Variant, run: Run, seeds: Sequence[int]) -> Iterator[Student]:
    """Train a variant's selector, as far as that was not done before, then its students, one a seed.

    The run's own seed decides once whether the selector or uniform weights choose, see :func:`best_student`.
    """
    if not seeds:
        return
    open_folder(run.folder, run.as_dict())
    last, selector, _ = train_rounds(run)
    policy = UNIFORM
    if run.algo != UNIFORM:
        sources = sources_of(run, last)
        policy = stage(run.folder / "policy.json", sources, lambda: best_student(last, selector)[1])["policy"]
    chosen = selector if policy == run.algo else new_selector(last, policy)
    for seed in seeds:
        start = time.perf_counter()
        env, scores = final_student(last, chosen, seed=seed, teacher=variant.teacher, distillation=variant.distillation)
        prepared = env.world.prepared
        size = prepared.manifest()["parameters"]
        yield Student(
            variant=variant.name,
            seed=seed,
            teacher="none" if variant.distillation.get("alpha") == 0 else scores["teacher"],
            policy=policy,
            parameters=size["student"] / size["teacher"],
            dev=scores["dev_accuracy"],
            test=scores["test_accuracy"],
            few_shot_teacher=score_teacher(prepared, "few-shot", "test").accuracy,
            all_data_teacher=score_teacher(prepared, "all-data", "test").accuracy,
            seconds=round(time.perf_counter() - start, 1),
        )
