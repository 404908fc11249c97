"""Results for people and for programs: the summary, its table, the exported student's model card."""

from __future__ import annotations

from typing import Any

import numpy as np

from l2a_gym.prepared import TEACHERS, Prepared
from l2a_gym.runs.evaluate import Row, score_teacher
from l2a_gym.runs.run import Run
from l2a_gym.wording import printable


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
        lines.append(f"exported: {_size(exported['parameters'])}, weights by {printable(exported['policy'])}")
    return "\n".join([f"task {printable(run.task)}", *lines, f"student: {_size(summary['parameters'])}"])


def _size(parameters: dict[str, int]) -> str:
    share = parameters["student"] / parameters["teacher"]
    return f"{parameters['student']:,} parameters, {share:.1%} of the teacher's"


def model_card(run: Run, prepared: Prepared, scores: dict[str, Any]) -> str:
    """The exported folder's README.md."""
    manifest = prepared.manifest()
    size = manifest["parameters"]
    checkpoint = manifest["config"]["checkpoint"]
    teacher = "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)" if checkpoint == "embedded" else checkpoint
    return f"""---
library_name: transformers
pipeline_tag: text-classification
tags: [knowledge-distillation, l2a-gym]
---

# {run.task}: a distilled student

A small student ({_size(size)}), distilled with L2A-Gym from {teacher}, fine-tuned as the {scores["teacher"]} teacher.

| | |
|---|---|
| labels | {", ".join(manifest["labels"])} |
| target domain, sources | {manifest["domains"][0]}; {", ".join(manifest["domains"][1:])} |
| selector | {run.algo}, seed {run.seed}, budget {run.budget} |
| weights of the candidates by | {scores["policy"]} |
| student updates | {scores["updates"]} |
| dev accuracy | {scores["dev_accuracy"]:.4f} |
| test accuracy | {scores["test_accuracy"]:.4f} |

The vocabulary is trimmed to pieces of the candidates, train and dev; other words are cut into smaller pieces. The
accuracies are of one student; expect other seeds to differ by a point or two.
"""
