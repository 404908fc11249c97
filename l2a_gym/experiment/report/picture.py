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

SIZE = (11.0, 3.8)
"""Inches."""
TEXTS = 4
"""At most so many texts of each end."""
LENGTH = 88
"""Characters that are shown of a text."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "l2a-gym",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign is one
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Matplotlib's parameters, whose names it types one by one."""
RIGHT, WRONG, PLAIN = "#1f5fa8", "#b3541e", "#555555"
"""Colours of weights of labels that nobody knows to be wrong, of those that are, and of what stands for comparison."""


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
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Title": report.title})
    return text.getvalue()


def _curve(axes: Any, report: RunReport) -> None:
    end = report.curve[-1][0]
    axes.plot(*zip(*report.curve, strict=True), color=RIGHT, marker="o", markersize=4, clip_on=False)
    for name, value in report.levels.items():
        axes.axhline(value, linestyle="--", linewidth=1, color=PLAIN)
        note = axes.annotate(name, (0, value), (2, 2), textcoords="offset points", color=PLAIN)
        note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    axes.set(xlim=(0, end), xlabel="units spent on training", ylabel=f"gain: {report.gain}", title=report.title)
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _texts(axes: Any, groups: Sequence[Group]) -> None:
    """Texts under each other, each above the bar of its weight: the heaviest first."""
    shown = ends(groups)
    for row, (group, text) in enumerate(shown):
        axes.barh(row, text.weight, height=0.28, color=WRONG if text.wrong else RIGHT)
        known = ", a wrong label" if text.wrong else ""
        label = f"{text.weight:.2f}  {group.domain}, {group.label}{known}: {text.text}"
        axes.text(0, row - 0.24, shortened(label, LENGTH), va="bottom")
    axes.set(
        xlim=(0, 1), ylim=(len(shown) - 0.4, -0.9), yticks=[], xlabel="weight", title="what it weighs most and least"
    )
    axes.spines["left"].set_visible(False)


def ends(groups: Sequence[Group]) -> list[tuple[Group, Text]]:
    """The heaviest text of each group, the heaviest groups first, then the lightest ones, the lightest group last."""
    heavy = sorted(((each, each.highest[0]) for each in groups if each.highest), key=_weight)[-TEXTS:]
    light = sorted(((each, each.lowest[0]) for each in groups if each.lowest), key=_weight)[:TEXTS]
    return [*heavy[::-1], *light[::-1]]


def _weight(shown: tuple[Group, Text]) -> float:
    return shown[1].weight
