"""A run's results for people and for programs: the summary and its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from l2a_gym.experiment.adapter import DistillAdapter, TaskAdapter
from l2a_gym.experiment.report.statistics import standard_error
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, RULES, UNIFORM
from l2a_gym.experiment.teachers import chosen_teacher
from l2a_gym.experiment.verdict import verdict
from l2a_gym.wording import printable

SPLITS = ("dev", "test")
OWN = "this run"
"""Kind of the lines that the run itself made."""


def summarise(adapter: TaskAdapter, algo: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Accuracies on dev and test of the baselines and the selector, and costs; figures of teachers and references.

    Every accuracy of students is ``{"mean": ..., "per_seed": [...]}``; the oracle's is null where no label is wrong.
    ``teachers`` and ``references`` hold the :class:`~l2a_gym.experiment.figures.Figures` of each by its name; the toy
    has none. ``domains`` are the task's, the target first, and ``texts`` the numbers of the target's. ``labels`` holds
    how many labels of the target were read for each; those of dev and select count where the selector looks at the
    cross-fitted teacher, which has learnt from them. ``verdict`` is that of
    :func:`~l2a_gym.experiment.verdict.verdict`, where the selector was trained.
    """
    named = {row.selector: row for row in rows}
    shown = {name: named.get(name) for name in (NONE, UNIFORM, *RULES, ORACLE)} | {"selector": named[algo]}
    summary: dict[str, Any] = {
        f"{split}_accuracy": {name: row and _mean(row.accuracies(split)) for name, row in shown.items()}
        for split in SPLITS
    }
    env = adapter.env()
    summary["updates"] = env.get_wrapper_attr("steps") * env.get_wrapper_attr("updates")
    summary["row_seconds"] = {name: row.seconds for name, row in shown.items() if row}
    if named[algo].spent:
        summary["verdict"] = verdict(algo, rows)
    if isinstance(adapter, DistillAdapter):
        summary |= _of_task(adapter)
        summary["labels"] = {name: _labels(adapter, row) for name, row in shown.items() if row}
    return summary


def _of_task(adapter: DistillAdapter) -> dict[str, Any]:
    """What all runs on a task have in common."""
    task, prepared = adapter.task, adapter.prepared
    return {
        "domains": list(task.domains),
        "texts": {split: len(getattr(task, split)) for split in ("train", "dev", "select", "test")},
        "parameters": prepared.manifest()["parameters"],
        "teachers": {name: asdict(each) for name, each in adapter.teachers.items()},
        "references": {name: asdict(each) for name, each in adapter.references.items()},
        "chosen_teacher": chosen_teacher(prepared),
    }


def _labels(adapter: DistillAdapter, row: Row) -> int:
    """How many labels of the target stand behind a row's students and selector."""
    judge = ["cross-fitted"] if "cross_fitted_label" in row.options.get("features", ()) else []
    read = [adapter.teachers[name].labels for name in (row.settings.get("teacher", Run.teacher), *judge)]
    return max(len(adapter.task.train) + len(adapter.task.dev), *read)


def _mean(values: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "per_seed": values}


@dataclass(frozen=True)
class Line:
    """A classifier, or all students of a selector, in a run's table.

    Attributes:
        kind: ``teachers``, ``references``, ``students under fixed rules`` or :data:`OWN`.
        name: what the table calls it.
        accuracy: split -> accuracy; of several students their mean.
        error: split -> its standard error over the texts; none on the toy.
        per_student: test accuracy of each student; empty for a single classifier.
        labels: labelled texts of the target that it was made with; None on the toy.
        parameters: stored numbers that it classifies with; None on the toy.
        speed: texts that it classifies in a second; None where this was not measured.
    """

    kind: str
    name: str
    accuracy: Mapping[str, float]
    error: Mapping[str, float]
    per_student: Sequence[float]
    labels: int | None
    parameters: int | None
    speed: float | None


def lines(run: Run, summary: Mapping[str, Any]) -> list[Line]:
    """Teachers and references, baselines and the selector, students of the long schedule and the exported one."""
    exported = [_line(OWN, "exported student", summary, summary["exported"])] if "exported" in summary else []
    long = summary.get("exported", {}).get("long", {}).items()
    teachers = (
        _line("teachers", f"{name} teacher", summary, each) for name, each in summary.get("teachers", {}).items()
    )
    references = (_line("references", name, summary, each) for name, each in summary.get("references", {}).items())
    trials = (_line(OWN, f"long schedule, {printable(name)}", summary, each) for name, each in long)
    return [*teachers, *references, *_students(run, summary), *trials, *exported]


def _students(run: Run, summary: Mapping[str, Any]) -> Iterator[Line]:
    """Those of each baseline and of the selector."""
    for name, test in summary["test_accuracy"].items():
        if test is not None:
            figures = {
                "dev_accuracy": summary["dev_accuracy"][name]["mean"],
                "test_accuracy": test["mean"],
                "labels": summary.get("labels", {}).get(name),
                "parameters": summary.get("parameters", {}).get("student"),
            }
            kind = OWN if name == "selector" else "students under fixed rules"
            yield _line(kind, title(run, name), summary, figures, test["per_seed"])


def _line(
    kind: str, name: str, summary: Mapping[str, Any], figures: Mapping[str, Any], per_student: Sequence[float] = ()
) -> Line:
    accuracy = {split: figures[f"{split}_accuracy"] for split in SPLITS}
    texts = summary.get("texts")
    error = {split: standard_error(accuracy[split], texts[split]) for split in SPLITS} if texts else {}
    speed = figures.get("texts_per_second")
    return Line(kind, name, accuracy, error, per_student, figures["labels"], figures["parameters"], speed)


def table(run: Run, summary: Mapping[str, Any]) -> str:
    """The summary as lines of text: accuracies in per cent with their standard errors, labels read, size and speed."""
    found = [
        f"{'':40}{'dev %':>12}{'test %':>12}{'range':>14}{'labels':>8}{'parameters':>12}{'texts/s':>12}",
        *map(_as_text, lines(run, summary)),
    ]
    if exported := summary.get("exported"):
        policy = f"weights by {printable(exported['policy'])}, taught by the {exported['teacher']} teacher"
        found.append(f"exported: {size_of(exported['parameters'], summary)}, {policy}")
        found += formats_as_text(exported)
    if "parameters" in summary:
        found.append(f"student: {size_of(summary['parameters']['student'], summary)}")
    cost = ", ".join(f"{name} {seconds:.1f}" for name, seconds in summary["row_seconds"].items())
    found.append(f"{summary['updates']} updates a student; seconds: {cost}")
    if judged := summary.get("verdict"):
        found.append(judged["sentence"])
    return "\n".join([f"task {printable(run.task)}", *found])


def formats_as_text(exported: Mapping[str, Any]) -> list[str]:
    """How well the exported student's probabilities are calibrated, and its files, in a line each."""
    before, after = (100 * exported["calibration_error"][when] for when in ("before", "after"))
    return [
        f"calibrated with temperature {exported['temperature']:.2f}: expected calibration error on test {before:.1f} % "
        f"before, {after:.1f} % after",
        *(f"{name}: {format_in_words(each)}" for name, each in exported.get("formats", {}).items()),
    ]


def format_in_words(figures: Mapping[str, float]) -> str:
    """Figures of a file of the exported student, see :func:`~l2a_gym.experiment.exported.score_formats`."""
    return (
        f"{figures['megabytes']:.1f} MB, {figures['texts_per_second']:,.0f} texts/s, "
        f"test accuracy {100 * figures['test_accuracy']:.1f} %, {100 * figures['same_labels']:.2f} % same labels"
    )


def _as_text(line: Line) -> str:
    accuracies = [
        f"{100 * line.accuracy[split]:.1f}" + (f" ± {100 * line.error[split]:.1f}" if line.error else "")
        for split in SPLITS
    ]
    size = "" if line.parameters is None else f"{line.parameters:,}"
    numbers = (
        f"{'' if line.labels is None else line.labels:>8}{size:>12}{f'{line.speed:,.0f}' if line.speed else '':>12}"
    )
    return f"{line.name:40}{accuracies[0]:>12}{accuracies[1]:>12}{_range(line.per_student):>14}{numbers}".rstrip()


def title(run: Run, name: str) -> str:
    """What a table calls a baseline, or the run's selector."""
    return f"selector ({printable(run.algo)})" if name == "selector" else name


def table_over_seeds(run: Run, summaries: Sequence[Mapping[str, Any]]) -> str:
    """Each line of the runs' tables over their training seeds: mean test accuracy in per cent, and range."""
    first = summaries[0]
    lines = [f"{'':40}{'test %':>8}{'range':>14}{'seeds':>7}"]
    for kind in ("teachers", "references"):
        for name, figures in first.get(kind, {}).items():
            lines.append(f"{name:40}{100 * figures['test_accuracy']:8.1f}")
    for name in (name for name, test in first["test_accuracy"].items() if test is not None):
        means = [summary["test_accuracy"][name]["mean"] for summary in summaries]
        lines.append(f"{title(run, name):40}{100 * float(np.mean(means)):8.1f}{_range(means):>14}{len(means):7d}")
    return "\n".join([f"task {printable(run.task)}, training seeds", *lines])


def _range(values: Sequence[float]) -> str:
    return f"{100 * min(values):.1f} .. {100 * max(values):.1f}" if len(values) > 1 else ""


def size_of(student: int, summary: Mapping[str, Any]) -> str:
    """A student's size in words."""
    return f"{student:,} parameters, {student / summary['parameters']['teacher']:.1%} of the teacher's"
