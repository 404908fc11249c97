"""The generator's diagnostics for readers: a picture, a table, and the table's figures."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

from l2a_gym.cache import write_text, writing
from l2a_gym.experiment.diagnose import DRAWS, EDA, SELECT, SHOTS, SOURCES, Row
from l2a_gym.wording import plain

ENDS = ("", "_low", "_high")
"""What follows a column's name in those of its interval."""
COLOURS = {SHOTS: "#1f5fa8", SOURCES: "#c2571a", SELECT: "0.35", EDA: "0.6"}
NOTES = f"""\
0 sweeps: the texts as they are. In brackets: 95 % intervals by bootstrap over the starts ({DRAWS} draws).

- log-odds: the mean of the target's, by logistic regression on sentence vectors of the teacher before fine-tuning. It
  is fitted on dev and on source texts that no walk starts from.
- labels kept: share of texts whose likeliest label by the all-data teacher is their start's given one. This teacher was
  tuned on the shots and the sources. The labels of select are not looked at.
- distinct-1, distinct-2: different words, and different bigrams, over all of them. A shot that several walks start from
  counts as often.
- perplexity: of masked tokens, under the masked language model after its adaptation to the target. It was trained on
  the sources, the shots and, unless it sees labels, dev; never on select.
"""


def make_folder(out: Path) -> None:
    """Make the folder that the report goes to.

    Raises:
        UserError: it can't be made.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)


def write(rows: list[Row], task_id: str, out: Path) -> None:
    """Write ``generator.csv``, ``generator.md`` and ``generator.png``, each beside its place and renamed there."""
    write_text(out / "generator.csv", as_csv(rows))
    write_text(out / "generator.md", as_markdown(rows, task_id))
    beside = out / f".generator-{os.getpid()}.png"
    try:
        _draw(rows, beside)
        beside.replace(out / "generator.png")
    finally:
        beside.unlink(missing_ok=True)


def as_csv(rows: list[Row]) -> str:
    """The table, first the names of its columns; what is not known is left empty."""
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(field.name for field in fields(Row))
    for row in rows:
        table.writerow("" if value != value else value for value in astuple(row))
    return lines.getvalue()


def as_markdown(rows: list[Row], task_id: str) -> str:
    """The table for readers, and what its columns are."""
    lines = [
        "| texts | sweeps | n | log-odds | labels kept, % | distinct-1 | distinct-2 | perplexity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        odds = f"{row.log_odds:.2f} [{row.log_odds_low:.2f}, {row.log_odds_high:.2f}]"
        share = 100 * np.array([row.labels_kept, row.labels_kept_low, row.labels_kept_high])
        kept = "" if np.isnan(share[0]) else "{:.1f} [{:.1f}, {:.1f}]".format(*share)
        varied = f"{row.distinct_1:.3f} | {row.distinct_2:.3f} | {row.perplexity:.1f}"
        lines.append(f"| {row.origin} | {row.sweeps} | {row.texts} | {odds} | {kept} | {varied} |")
    return "\n".join([f"# The generator on {plain(task_id)}", "", *lines, "", NOTES])


def _draw(rows: list[Row], file: Path) -> None:
    """Log-odds and labels kept against sweeps, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), dpi=150, layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    _draw_curves(left, rows, "log_odds", 1)
    left.set_title("log-odds of the target domain, mean", fontsize=10)
    _draw_curves(right, rows, "labels_kept", 100)
    right.set_title("labels kept, by the all-data teacher, %", fontsize=10)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(file)


def _draw_curves(axes: Any, rows: list[Row], column: str, scale: float) -> None:
    """A curve with its band for either kind of start; a broken line for the texts that never walked."""
    for origin, colour in COLOURS.items():
        part = [row for row in rows if row.origin == origin]
        mean, low, high = (scale * np.array([getattr(row, column + end) for row in part]) for end in ENDS)
        if len(part) > 1:
            sweeps = [row.sweeps for row in part]
            axes.plot(sweeps, mean, color=colour, marker="o", markersize=4, label=origin)
            axes.fill_between(sweeps, low, high, color=colour, alpha=0.18, linewidth=0)
        else:
            axes.axhline(mean[0], color=colour, linewidth=1, linestyle="--" if origin == SELECT else ":", label=origin)
    axes.locator_params(axis="x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_xlabel("sweeps")
