"""The report's first picture: what each selector gains over those that it has to beat."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from l2a_gym.experiment.report.compared import Entry, references
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.plots import INK, RULE, STYLE, as_svg, colour

MARKERS = {"learner": "o", "baseline": "s", "control": "D", "bound": "D"}
PAGE = {"ink": INK, "rule": RULE, "learner": colour(0), "baseline": INK, "control": colour(6), "bound": colour(6)}
PRINT = {
    **{"ink": "#20242a", "rule": "#dcd7cd", "learner": "#0b6bb0", "baseline": "#20242a"},
    **dict.fromkeys(("control", "bound"), "#8a8f96"),
}
"""Colours of the picture as a file, which stands on white."""
LONGEST = 40
"""Characters of a name that are drawn."""
PIXELS, INCHES = 1280, 9.6


def on_page(found: Leaderboard) -> dict[str, Markup]:
    """The picture for wide screens, and for narrow ones with names above the lines."""
    label = f"Gains of {len(found.entries)} selectors with their intervals; the leaderboard has the numbers"
    wide, narrow = (partial(_draw, found=found, colours=PAGE, narrow=each) for each in (False, True))
    return {
        "wide": as_svg(wide, (10.5, _height(found, 0.24)), "wide", label),
        "narrow": as_svg(narrow, (3.7, _height(found, 0.42)), "narrow", label),
    }


def as_png(found: Leaderboard) -> bytes:
    """The picture as a file of 1,280 pixels' width, on white."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = {"text.color": PRINT["ink"], "axes.labelcolor": PRINT["ink"], "axes.edgecolor": PRINT["rule"]}
    grid = dict.fromkeys(("grid.color", "xtick.color", "ytick.color"), PRINT["rule"])
    labels = dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), PRINT["ink"])
    with mpl.rc_context(STYLE | colours | grid | labels), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(
            figsize=(INCHES, _height(found, 0.26)), dpi=PIXELS / INCHES, layout="constrained", facecolor="white"
        )
        _draw(figure, found, PRINT, False)
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": "L2A-Gym"})
    return content.getvalue()


def _height(found: Leaderboard, row: float) -> float:
    return 0.9 + row * len(found.entries)


def _draw(figure: Any, found: Leaderboard, colours: dict[str, str], narrow: bool) -> None:
    """A column for each reference; the selectors from top to bottom, on the same scale in all columns."""
    shown = references(found.entries)
    columns = figure.subplots(1, max(1, len(shown)), sharex=True, sharey=True, squeeze=False)[0]
    for axes, reference in zip(columns, shown, strict=False):
        _column(axes, found.entries, reference, colours)
    names = [_short(each.selector) for each in found.entries]
    columns[0].set_yticks(range(len(names)), [""] * len(names) if narrow else names, parse_math=False)
    columns[0].set_ylim(len(names) - 0.4, -0.9 if narrow else -0.6)
    if narrow:
        for y, name in enumerate(names):
            place = columns[0].get_yaxis_transform()
            columns[0].text(0, y - 0.3, name, transform=place, va="bottom", parse_math=False, zorder=3).set_in_layout(
                False
            )
    figure.supxlabel("points of test accuracy", fontsize=9)


def _column(axes: Any, entries: Sequence[Entry], reference: str, colours: dict[str, str]) -> None:
    axes.set_title(f"vs. {reference}", fontsize=9, loc="left")
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=colours["ink"], linewidth=0.9, zorder=1)
    for y, entry in enumerate(entries):
        style = colours[entry.kind]
        if not (found := entry.over.get(reference)):
            continue
        axes.plot(found.by_task, [y] * len(found.by_task), "|", color=style, markersize=6, alpha=0.35, zorder=2)
        if found.mean.low == found.mean.low:
            axes.plot([found.mean.low, found.mean.high], [y, y], color=style, linewidth=2.6, alpha=0.55, zorder=2)
        axes.plot(found.mean.value, y, MARKERS[entry.kind], color=style, markersize=4.5, zorder=3)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
