"""Results for people and for programs: the summary, its table, and the names of figures in TensorBoard."""

from __future__ import annotations

from typing import Any

import numpy as np

from l2a_gym.experiment.evaluate import Row, score_teacher
from l2a_gym.experiment.run import Run
from l2a_gym.preparation.store import TEACHERS, Prepared
from l2a_gym.wording import printable

EPISODE = ("reward", "gain", "dev_accuracy", "dev_nll", "dev_macro_f1")
"""Logged figures that say how episodes went, by whatever selector."""


def summarise(prepared: Prepared, rows: dict[str, list[Row]]) -> dict[str, Any]:
    """Accuracies on dev and test of both teachers, the controls and the selector; sizes and costs.

    Every accuracy is ``{"mean": ..., "per_seed": [...]}``; the oracle's is null where no label was flipped.
    """
    summary: dict[str, Any] = {}
    for split in ("dev", "test"):
        teachers = {name: [score_teacher(prepared, name, split).accuracy] for name in TEACHERS}
        students = {name: [getattr(row, split).accuracy for row in each] for name, each in rows.items()}
        accuracy: dict[str, Any] = {
            f"{name.replace('-', '_')}_teacher": _mean(values) for name, values in teachers.items()
        }
        accuracy |= {
            name: _mean(students[name]) if name in students else None for name in ("none", "uniform", "oracle")
        }
        summary[f"{split}_accuracy"] = accuracy | {"selector": _mean(students["selector"])}
    return summary | {
        "parameters": prepared.manifest()["parameters"],
        "updates": rows["selector"][0].updates,
        "student_seconds": {name: float(np.mean([row.seconds for row in each])) for name, each in rows.items()},
        "rows": {name: [row.as_dict() for row in each] for name, each in rows.items()},
    }


def _mean(values: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "per_seed": values}


def table(run: Run, summary: dict[str, Any]) -> str:
    """The summary as lines of text: accuracy in per cent, mean and range over student seeds."""
    lines = [f"{'':22}{'dev %':>8}{'test %':>8}{'range':>14}{'updates':>9}{'seconds':>9}"]
    for name, test in summary["test_accuracy"].items():
        if test is None:
            continue
        dev = summary["dev_accuracy"][name]["mean"]
        values = test["per_seed"]
        spread = f"{100 * min(values):.1f} .. {100 * max(values):.1f}" if len(values) > 1 else ""
        cost = f"{summary['updates']:9d}{summary['student_seconds'][name]:9.1f}" if name in summary["rows"] else ""
        title = f"selector ({printable(run.algo)})" if name == "selector" else name.replace("_", " ")
        lines.append(f"{title:22}{100 * dev:8.1f}{100 * test['mean']:8.1f}{spread:>14}{cost}")
    if exported := summary.get("exported"):
        accuracies = f"{100 * exported['dev_accuracy']:8.1f}{100 * exported['test_accuracy']:8.1f}"
        lines.append(f"{'exported student':22}{accuracies}{'':14}{exported['updates']:9d}")
        lines.append(f"exported: {size_of(exported['parameters'])}, weights by {printable(exported['policy'])}")
    return "\n".join([f"task {printable(run.task)}", *lines, f"student: {size_of(summary['parameters'])}"])


def size_of(parameters: dict[str, int]) -> str:
    """A student's size in words."""
    share = parameters["student"] / parameters["teacher"]
    return f"{parameters['student']:,} parameters, {share:.1%} of the teacher's"


def scalar_name(name: str) -> str:
    """The name under which TensorBoard shows a logged figure: how episodes went comes first, in a group of its own."""
    if name in EPISODE:
        return f"episode/{name}"
    return name if name.startswith("train/") else f"train/{name}"
