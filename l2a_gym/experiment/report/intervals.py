"""The report's first picture: what each selector gains over those that it has to beat."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import partial
from math import nan
from typing import Any

from markupsafe import Markup

from l2a_gym.experiment.report.compared import Difference, references
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.plots import INK, RULE, STYLE, as_svg, colour
from l2a_gym.wording import shortened

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
    shown, names = references(found.entries), [shortened(each.selector, LONGEST) for each in found.entries]
    columns = figure.subplots(1, max(1, len(shown)), sharex=True, sharey=True, squeeze=False)[0]
    half = 0.2 if narrow else 0.5  # of a line's height, where no name is
    for axes, reference in zip(columns, shown, strict=False):
        axes.set_title(reference if narrow else f"vs. {reference}", fontsize=8 if narrow else 9, loc="left")
        axes.grid(visible=False, axis="y")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=3 if narrow else 7, integer=True)
        _strokes(axes, [(0.0, y) for y in range(len(names))], half, color=colours["ink"], linewidth=0.9)
        for y, entry in enumerate(found.entries):
            if reference in entry.over:
                _line(axes, y, entry.over[reference], colours[entry.kind], MARKERS[entry.kind])
    first = columns[0]
    first.set_yticks(range(len(names)), [""] * len(names) if narrow else names, parse_math=False)
    first.set_ylim(len(names) - 0.5, -0.8 if narrow else -0.5)
    for y, name in enumerate(names if narrow else []):
        text = first.text(0, y - 0.27, name, transform=first.get_yaxis_transform(), va="bottom", parse_math=False)
        text.set_in_layout(False)
    what = "vs. these" if narrow else "(dot: mean; bar: 95 % interval; strokes: single tasks)"
    figure.supxlabel(f"points of test accuracy {what}", fontsize=9)


def _line(axes: Any, y: float, found: Difference, colour: str, marker: str) -> None:
    _strokes(axes, [(gain, y) for gain in found.by_task], 0.13, color=colour, linewidth=0.9, alpha=0.4)
    if found.mean.low == found.mean.low:
        axes.plot([found.mean.low, found.mean.high], [y, y], color=colour, linewidth=2.6, alpha=0.55)
    axes.plot(found.mean.value, y, marker, color=colour, markersize=4.5)


def _strokes(axes: Any, places: Sequence[tuple[float, float]], half: float, **style: Any) -> None:
    """Upright strokes as one path, which keeps the file small."""
    points = [(x, y + step) for x, y in places for step in (-half, half, nan)]
    axes.plot(*zip(*points, strict=True), **style)
