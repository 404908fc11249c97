"""A run as one picture that stands on its own: what its selector gained, and texts with their weights."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.chosen import Group, Text
from l2a_gym.experiment.report.run_report import RunReport
from l2a_gym.wording import shortened

SIZE = (9.6, 4.6)
"""Inches."""
TEXTS = 4
"""At most so many texts of each end."""
LENGTH = 64
"""Characters that are shown of a text."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "l2a-gym",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 12,
    "text.parse_math": False,  # a dollar sign is one
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Matplotlib's parameters, whose names it types one by one."""
RIGHT, WRONG, PLAIN = "#1f5fa8", "#b3541e", "#555555"
"""Colours of labels that nobody knows to be wrong, of those that are, and of what stands for comparison."""


def picture(report: RunReport) -> str:
    """The picture as SVG.

    Raises:
        UserError: the run trained nothing, or its candidates are no texts.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    if not report.curve or report.chosen is None:
        raise UserError(f"{report.title}: a picture needs a selector that was trained, and texts: valid is html")
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # who shows the picture has other fonts
        figure = Figure(figsize=SIZE, layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        _curve(left, report)
        _texts(right, report.chosen.groups)
        if report.chosen.wrong:
            figure.supxlabel(report.chosen.wrong, fontsize=10)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Title": report.title})
    return text.getvalue()


def _curve(axes: Any, report: RunReport) -> None:
    """The selector's gain by units of training; others as lines whose names stand above each other."""
    end = report.curve[-1][0]
    axes.plot(*zip(*report.curve, strict=True), color=RIGHT, linewidth=2.5, marker="o", clip_on=False)
    for name, value in report.levels.items():
        axes.axhline(value, linestyle="--", linewidth=1, color=PLAIN, zorder=0)
        note = axes.annotate(name, (0, value), (3, 3), textcoords="offset points", color=PLAIN, fontsize=9)
        note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8})
    axes.set(xlim=(0, end), xlabel="updates and dev passes in training", ylabel=report.gain)
    axes.set_title(f"what {report.algo} gains on dev")
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _texts(axes: Any, groups: Sequence[Group]) -> None:
    """The two ends under each other: texts with their weights as bars, and where a label is known to be wrong."""
    row = 0.0
    titles = ("trusted most, of each domain and class (bar: weight)", "trusted least")
    for title, shown in zip(titles, ends(groups), strict=True):
        axes.text(0, row, title, fontsize=12)
        for group, text in shown:
            row += 1
            axes.barh(row + 0.06, text.weight, height=0.92, color=WRONG if text.wrong else RIGHT, alpha=0.2)
            known = ", a label known to be wrong" if text.wrong else ""
            axes.text(0.01, row - 0.1, shortened(text.text, LENGTH), va="center", fontsize=10)
            source = f"{text.weight:.2f}   {group.domain}, {group.label}{known}"
            axes.text(0.01, row + 0.29, source, va="center", fontsize=8.5, color=WRONG if text.wrong else PLAIN)
        row += 1.4
    axes.set(xlim=(0, 1), ylim=(row - 0.8, -0.6), xticks=[], yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)


def ends(groups: Sequence[Group]) -> tuple[list[tuple[Group, Text]], list[tuple[Group, Text]]]:
    """The heaviest text of each group, the heaviest first, and the lightest ones, the lightest first.

    Source texts that students were shown.
    """
    heavy = [(each, text) for each in groups for text in list(filter(_real, each.highest))[:1]]
    light = [(each, text) for each in groups for text in list(filter(_real, each.lowest))[:1]]
    return sorted(heavy, key=lambda shown: -_weight(shown))[:TEXTS], sorted(light, key=_weight)[:TEXTS]


def _real(text: Text) -> bool:
    return text.shown and text.given


def _weight(shown: tuple[Group, Text]) -> float:
    return shown[1].weight
