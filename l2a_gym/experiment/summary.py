"""A run's results for people and for programs: the summary and its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from l2a_gym.experiment.adapter import DistillAdapter, TaskAdapter
from l2a_gym.experiment.report.statistics import standard_error
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import CROSS_FITTED, NONE, ORACLE, RULES, UNIFORM
from l2a_gym.experiment.teachers import chosen_teacher
from l2a_gym.experiment.verdict import verdict
from l2a_gym.wording import printable

SPLITS = ("dev", "test")


def summarise(adapter: TaskAdapter, algo: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Accuracies on dev and test of the baselines and the selector, and costs; figures of teachers and references.

    Every accuracy of students is ``{"mean": ..., "per_seed": [...]}``; the oracle's is null where no label is wrong.
    ``teachers`` and ``references`` hold the :class:`~l2a_gym.experiment.figures.Figures` of each by its name; the toy
    has none. ``verdict`` is that of :func:`~l2a_gym.experiment.verdict.verdict`, where the selector was trained.
    """
    named = {row.selector: row for row in rows}
    shown = {name: named.get(name) for name in (NONE, UNIFORM, *RULES, ORACLE)} | {"selector": named[algo]}
    summary: dict[str, Any] = {
        f"{split}_accuracy": {
            name: row and _mean([_accuracy(row, i, split) for i in range(len(row.students))])
            for name, row in shown.items()
        }
        for split in SPLITS
    }
    env = adapter.env()
    summary["updates"] = env.get_wrapper_attr("steps") * env.get_wrapper_attr("updates")
    summary["row_seconds"] = {name: row.seconds for name, row in shown.items() if row}
    if named[algo].spent:
        summary["verdict"] = verdict(algo, rows)
    return summary | (_of_task(adapter) if isinstance(adapter, DistillAdapter) else {})


def _of_task(adapter: DistillAdapter) -> dict[str, Any]:
    """What all runs on a task have in common."""
    task, prepared = adapter.task, adapter.prepared
    return {
        "texts": {split: len(getattr(task, split)) for split in SPLITS},
        "labels": len(task.train) + len(task.dev),
        "parameters": prepared.manifest()["parameters"],
        "teachers": {name: asdict(each) for name, each in adapter.teachers.items()},
        "references": {name: asdict(each) for name, each in adapter.references.items()},
        "chosen_teacher": chosen_teacher(prepared),
    }


def _accuracy(row: Row, student: int, split: str) -> float:
    """Of a final student; a made-up one has the same on both splits."""
    return row.students[student].metrics.get(f"{split}_accuracy", row.students[student].score)


def _mean(values: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "per_seed": values}


def table(run: Run, summary: Mapping[str, Any]) -> str:
    """The summary as lines of text: accuracies in per cent with their standard errors, labels read, size and speed."""
    lines = [
        f"{'':40}{'dev %':>12}{'test %':>12}{'range':>14}{'labels':>8}{'parameters':>12}{'texts/s':>9}",
        *_classifiers(summary, "teachers", "teacher"),
        *_classifiers(summary, "references", ""),
        *_students(run, summary),
    ]
    if exported := summary.get("exported"):
        lines.append(_line("exported student", summary, exported))
        policy = f"weights by {printable(exported['policy'])}, taught by the {exported['teacher']} teacher"
        lines.append(f"exported: {size_of(exported['parameters'], summary)}, {policy}")
    if "parameters" in summary:
        lines.append(f"student: {size_of(summary['parameters']['student'], summary)}")
    cost = ", ".join(f"{name} {seconds:.1f}" for name, seconds in summary["row_seconds"].items())
    lines.append(f"{summary['updates']} updates a student; seconds: {cost}")
    if found := summary.get("verdict"):
        lines.append(found["sentence"])
    return "\n".join([f"task {printable(run.task)}", *lines])


def _classifiers(summary: Mapping[str, Any], kind: str, word: str) -> Iterator[str]:
    for name, figures in summary.get(kind, {}).items():
        yield _line(f"{name} {word}".strip(), summary, figures)


def _students(run: Run, summary: Mapping[str, Any]) -> Iterator[str]:
    """A line for each baseline and for the selector: the mean over its students, and their range on test."""
    for name, test in summary["test_accuracy"].items():
        if test is not None:
            figures = {
                "dev_accuracy": summary["dev_accuracy"][name]["mean"],
                "test_accuracy": test["mean"],
                "labels": _labels(summary, run.algo if name == "selector" else name),
                "parameters": summary.get("parameters", {}).get("student", ""),
            }
            yield _line(title(run, name), summary, figures, _range(test["per_seed"]))


def _labels(summary: Mapping[str, Any], selector: str) -> int | str:
    """How many labels of the target stand behind a student and its selector; the toy has none."""
    if selector in CROSS_FITTED and "teachers" in summary:
        return summary["teachers"]["cross-fitted"]["labels"]
    return summary.get("labels", "")


def _line(name: str, summary: Mapping[str, Any], figures: Mapping[str, Any], spread: str = "") -> str:
    accuracies = [_accuracy_of(figures[f"{split}_accuracy"], summary.get("texts", {}).get(split)) for split in SPLITS]
    size, speed = figures["parameters"], figures.get("texts_per_second")
    numbers = f"{figures['labels']:>8}{size if size == '' else f'{size:,}':>12}{f'{speed:,.0f}' if speed else '':>9}"
    return f"{name:40}{accuracies[0]:>12}{accuracies[1]:>12}{spread:>14}{numbers}".rstrip()


def _accuracy_of(accuracy: float, texts: int | None) -> str:
    error = f" ± {100 * standard_error(accuracy, texts):.1f}" if texts else ""
    return f"{100 * accuracy:.1f}{error}"


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
