"""Pictures of a report as SVG that stands in the page: no size of its own, and the page's colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from l2a_gym.experiment.report.compared import SEARCH
from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.suite import UNIFORM

COLOURS = 8
"""Colours of the page's palette, ``--c0`` to ``--c7``."""
DASHES = ("", "6 2", "2 2", "6 2 2 2", "10 3", "4 4")
"""Line styles beside the colours, as SVG's dash arrays: series are told apart without colour as well."""
INK, RULE = "#010203", "#010204"
"""Stand for the page's text colour and its lines: what is drawn with them becomes a name of the style sheet."""
NAMES = {INK: "currentColor", RULE: "var(--rule)"} | {f"#0102{16 + i:02x}": f"var(--c{i})" for i in range(COLOURS)}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
}
"""Matplotlib's parameters, whose names it types one by one."""


def colour(i: int) -> str:
    """Stands for the colour of series ``i``."""
    return f"#0102{16 + i % COLOURS:02x}"


def dashes(i: int) -> str:
    """The line style of series ``i`` as a dash array; empty for a whole line."""
    return DASHES[i % len(DASHES)]


def anytime(found: Leaderboard, drawn: Sequence[str]) -> Markup:
    """Mean return by share of the budget: those ``drawn`` in colours, uniform as a thin line."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        if UNIFORM in found.curves:
            _curve(axes, found, UNIFORM, color=INK, linestyle="--", linewidth=0.9, alpha=0.7)
        for i, name in enumerate(drawn):
            _curve(axes, found, name, **_series(i))
        axes.set(xlim=(0, 1), xlabel="share of the budget", ylabel="mean return")
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])

    at_end = ", ".join(f"{name} {found.curves[name][-1]:.3f}" for name in [UNIFORM, *drawn] if name in found.curves)
    return as_svg(draw, (5.0, 3.1), "anytime", f"Mean return by share of the budget; at its end: {at_end}")


def training(curve: Sequence[tuple[int, float]], levels: Mapping[str, float]) -> Markup:
    """What a run's selector was worth while it was trained, and what others are worth, each as a level line.

    Args:
        curve: units spent by then, and the mean return of the students.
        levels: name -> mean return.
    """

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for i, value in enumerate(levels.values(), start=1):
            axes.axhline(value, **_series(i))
        axes.plot(*zip(*curve, strict=True), marker="o", markersize=5, clip_on=False, **_series(0))
        axes.set(xlim=(0, curve[-1][0]), xlabel="units spent on training", ylabel="gain on dev")
        axes.xaxis.set_major_formatter("{x:,.0f}")

    label = ", ".join(f"{name} {value:.3f}" for name, value in {"at the end": curve[-1][1], **levels}.items())
    return as_svg(draw, (5.0, 3.1), "training", f"Gain on dev by units of training: {label}")


def in_time(found: Leaderboard) -> list[str]:
    """The selectors whose return can change with the budget, the best first."""
    return [each.selector for each in found.entries if each.kind == "learner" or each.selector == SEARCH]


def _curve(axes: Any, found: Leaderboard, name: str, **style: Any) -> None:
    """Steps: between two reports a selector is worth what the earlier one said."""
    axes.plot(found.shares, found.curves[name], drawstyle="steps-post", **style)
    axes.plot(1, found.curves[name][-1], color=style["color"], marker="o", markersize=5, clip_on=False)


def _series(i: int) -> dict[str, Any]:
    """Colour and line style of series ``i``."""
    width = STYLE["lines.linewidth"]
    pattern = tuple(float(part) / width for part in dashes(i).split())
    return {"color": colour(i), **({"linestyle": (0, pattern)} if pattern else {})}


def as_svg(draw: Callable[[Any], None], size: tuple[float, float], name: str, label: str) -> Markup:
    """A picture drawn on an empty figure of that size in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the page's fonts draw it
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return embedded(text.getvalue(), label)


def embedded(svg: str, label: str) -> Markup:
    """Matplotlib's SVG as an element of a page, described by ``label``."""
    unwanted = r"<metadata>.*?</metadata>|<style.*?</style>"  # a style sheet would be the whole page's
    body = re.sub(unwanted, "", svg[svg.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r' id="[a-z0-9.]+_\d+"', "", body)  # the same in every picture, and nobody's target
    body = re.sub(r"#0102[0-9a-f]{2}", lambda found: NAMES.get(found[0], found[0]), body)
    box = re.search(r'viewBox="[^"]*"', body)
    assert box
    head = f'<svg role="img" aria-label="{escape(label)}" {box[0]} xmlns:xlink="http://www.w3.org/1999/xlink">'
    return Markup(head + body[body.index(">") + 1 :].strip())


def numbered(tables: Iterable[Iterable[str]]) -> dict[str, int]:
    """A number for each name in some tables, so that it has one colour throughout."""
    return {name: i for i, name in enumerate(dict.fromkeys(name for table in tables for name in table))}
