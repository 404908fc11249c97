"""What each part of the method is worth: final students with one part changed at a time, paired by seed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from l2a_gym.cache import locked, write_text
from l2a_gym.errors import UserError
from l2a_gym.experiment.ablation_table import OTHERS, VariantStudent, as_csv, effects, markdown
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.final import best_student, final_student
from l2a_gym.experiment.rounds import train_rounds
from l2a_gym.experiment.seeds import ABLATION, episode_seeds
from l2a_gym.experiment.settings import SHAPING, Ablation, Run
from l2a_gym.experiment.stage import stage
from l2a_gym.experiment.suite import UNIFORM
from l2a_gym.experiment.train import check_folders, open_folder, opened, sources_of
from l2a_gym.experiment.variants import Variant
from l2a_gym.progress import progress_bar

FILES = ("rows.jsonl", "ablation.md", "ablation.csv")
"""What an ablation leaves in its folder besides its config.json and its runs."""


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
    adapter = opened(plan.full)  # finds what is wrong before the folder is made
    if not isinstance(adapter, DistillAdapter):
        raise UserError("the toy has no parts of the method: name another task")
    with locked(plan.folder):
        check_same_ablation(plan)  # another process may have filled the folder
        open_folder(plan.folder, settings(plan))
        rows = effects(train_students(plan, adapter), plan.chosen())
        text = markdown(plan, rows)
        write_text(plan.folder / "ablation.md", text)
        write_text(plan.folder / "ablation.csv", as_csv(rows))
    print(text)
    return rows


def settings(plan: Ablation) -> dict[str, Any]:
    """An ablation's settings for JSON; pool and rounds as they are after the defaults."""
    return {**plan.full.as_dict(), "students": plan.students, "variants": plan.variants, "out": str(plan.folder)}


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


def train_students(plan: Ablation, adapter: DistillAdapter) -> list[VariantStudent]:
    """The final students of all variants that are to run, on the same seeds; those in ``rows.jsonl`` are taken."""
    file, variants = plan.folder / "rows.jsonl", plan.chosen()
    seeds = episode_seeds(ABLATION, plan.students, plan.seed)
    found = {(student.variant, student.seed): student for student in read_students(file)}
    wanted = [(variant.name, seed) for variant in variants for seed in seeds]
    before = sum(key in found for key in wanted)
    with progress_bar(total=len(wanted), initial=before, unit="student", desc="ablating") as bar:
        for variant in variants:
            missing = [seed for seed in seeds if (variant.name, seed) not in found]
            for student in students_of(variant, plan.run_of(variant), adapter, missing):
                found[student.variant, student.seed] = student
                write_text(file, "".join(json.dumps(asdict(each)) + "\n" for each in found.values()))
                bar.update()
    return [found[key] for key in wanted]


def read_students(file: Path) -> list[VariantStudent]:
    """The students in a file; a line that was cut off is passed over."""
    students = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with suppress(ValueError, TypeError):
            students.append(VariantStudent(**json.loads(line)))
    return students


def students_of(variant: Variant, run: Run, adapter: DistillAdapter, seeds: Sequence[int]) -> Iterator[VariantStudent]:
    """Train a variant's selector, as far as that was not done before, then its students, one a seed.

    The run's own seed decides once whether the selector or uniform weights choose, see
    :func:`~l2a_gym.experiment.final.best_student`.
    """
    if not seeds:
        return
    open_folder(run.folder, run.as_dict())
    last, own, selector, _ = train_rounds(run, adapter.with_settings(run.environment))
    assert isinstance(own, DistillAdapter)
    policy = UNIFORM
    if run.algo != UNIFORM:
        sources = sources_of(run, own)
        policy = stage(run.folder / "policy.json", sources, lambda: best_student(last, own, selector)[1])["policy"]
    chosen = selector if policy == run.algo else own.selector(policy)
    beside = adapter.classifiers()
    for seed in seeds:
        start = time.perf_counter()
        _, scores = final_student(
            last,
            own,
            chosen,
            seed=seed,
            teacher=variant.teacher,
            distillation=variant.distillation,
            phrases=variant.phrases,
            anchors="all",
        )
        yield VariantStudent(
            variant=variant.name,
            seed=seed,
            teacher="none" if variant.distillation.get("alpha") == 0 else scores["teacher"],
            policy=policy,
            parameters=scores["parameters"] / adapter.prepared.manifest()["parameters"]["teacher"],
            test=scores["test_accuracy"],
            others={name: beside[name].test_accuracy for name in OTHERS},
            seconds=round(time.perf_counter() - start, 1),
        )
