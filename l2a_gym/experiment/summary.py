"""A run's results for people and for programs: the summary and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from l2a_gym.experiment.adapter import DistillAdapter, TaskAdapter, score_teacher
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import NONE, ORACLE, UNIFORM
from l2a_gym.preparation.store import TEACHERS
from l2a_gym.wording import printable

SPLITS = ("dev", "test")


def summarise(adapter: TaskAdapter, algo: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Accuracies on dev and test of both teachers, the baselines and the selector; sizes and costs.

    Every accuracy is ``{"mean": ..., "per_seed": [...]}``; the oracle's is null where no label was flipped.
    """
    named = {row.selector: row for row in rows}
    shown = {name: named.get(name) for name in (NONE, UNIFORM, ORACLE)} | {"selector": named[algo]}
    summary: dict[str, Any] = {}
    for split in SPLITS:
        summary[f"{split}_accuracy"] = _teachers(adapter, split) | {
            name: row and _mean([_accuracy(row, i, split) for i in range(len(row.students))])
            for name, row in shown.items()
        }
    env = adapter.env()
    summary["updates"] = env.get_wrapper_attr("steps") * env.get_wrapper_attr("updates")
    summary["row_seconds"] = {name: row.seconds for name, row in shown.items() if row}
    if isinstance(adapter, DistillAdapter):
        summary["parameters"] = adapter.prepared.manifest()["parameters"]
    return summary


def _teachers(adapter: TaskAdapter, split: str) -> dict[str, Any]:
    if not isinstance(adapter, DistillAdapter):
        return {}
    scores = {name: score_teacher(adapter.prepared, name, split).accuracy for name in TEACHERS}
    return {f"{name.replace('-', '_')}_teacher": _mean([value]) for name, value in scores.items()}


def _accuracy(row: Row, student: int, split: str) -> float:
    """Of a final student; a made-up one has the same on both splits."""
    return row.students[student].metrics.get(f"{split}_accuracy", row.students[student].score)


def _mean(values: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "per_seed": values}


def table(run: Run, summary: Mapping[str, Any]) -> str:
    """The summary as lines of text: accuracy in per cent, mean and range over student seeds."""
    lines = [f"{'':22}{'dev %':>8}{'test %':>8}{'range':>14}{'updates':>9}{'seconds':>9}"]
    for name, test in summary["test_accuracy"].items():
        if test is None:
            continue
        dev = summary["dev_accuracy"][name]["mean"]
        seconds = summary["row_seconds"].get(name)
        cost = "" if seconds is None else f"{summary['updates']:9d}{seconds:9.1f}"
        title = f"selector ({printable(run.algo)})" if name == "selector" else name.replace("_", " ")
        lines.append(f"{title:22}{100 * dev:8.1f}{100 * test['mean']:8.1f}{_range(test['per_seed']):>14}{cost}")
    if exported := summary.get("exported"):
        accuracies = f"{100 * exported['dev_accuracy']:8.1f}{100 * exported['test_accuracy']:8.1f}"
        lines.append(f"{'exported student':22}{accuracies}{'':14}{exported['updates']:9d}")
        lines.append(f"exported: {size_of(exported['parameters'])}, weights by {printable(exported['policy'])}")
    if "parameters" in summary:
        lines.append(f"student: {size_of(summary['parameters'])}")
    return "\n".join([f"task {printable(run.task)}", *lines])


def table_over_seeds(run: Run, summaries: Sequence[Mapping[str, Any]]) -> str:
    """Each line of the runs' tables over their training seeds: mean test accuracy in per cent, and range."""
    names = [name for name, test in summaries[0]["test_accuracy"].items() if test is not None]
    lines = [f"{'':22}{'test %':>8}{'range':>14}{'seeds':>7}"]
    for name in names:
        means = [summary["test_accuracy"][name]["mean"] for summary in summaries]
        title = f"selector ({printable(run.algo)})" if name == "selector" else name.replace("_", " ")
        lines.append(f"{title:22}{100 * float(np.mean(means)):8.1f}{_range(means):>14}{len(means):7d}")
    return "\n".join([f"task {printable(run.task)}, training seeds", *lines])


def _range(values: Sequence[float]) -> str:
    return f"{100 * min(values):.1f} .. {100 * max(values):.1f}" if len(values) > 1 else ""


def size_of(parameters: Mapping[str, int]) -> str:
    """A student's size in words."""
    share = parameters["student"] / parameters["teacher"]
    return f"{parameters['student']:,} parameters, {share:.1%} of the teacher's"
