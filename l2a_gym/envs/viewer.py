"""Show an episode, as text or as a picture: the mean weight by domain x operator, and the dev curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_gym.envs.episode import Episode

BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 60
"""Points of a curve in one line of text; of a longer one, evenly spaced points are shown."""
SCORES = {"dev_nll": "nll", "dev_accuracy": "accuracy", "dev_macro_f1": "macro F1", "train_loss": "train loss"}
CURVES = {"nll": "-nll", "accuracy": "accuracy", "macro_f1": "macro F1"}
INCHES, DPI = (9.0, 3.6), 100


def ansi(domains: tuple[str, ...], operators: tuple[str, ...], episode: Episode) -> str:
    """Draw the episode as lines of text; a cell without any candidate shown is blank."""
    rows = [["mean weight", *operators]]
    for domain, means in zip(domains, _mean_weight(domains, episode), strict=True):
        rows.append([domain, *("" if np.isnan(mean) else f"{mean:.2f} {_block(mean)}" for mean in means)])
    first, *rest = (max(len(row[column]) for row in rows) for column in range(len(rows[0])))
    table = [
        "  ".join(
            [row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], rest, strict=True))]
        ).rstrip()
        for row in rows
    ]
    curve = (
        f"{CURVES[episode.metric]} on dev  {episode.curve[0]:.4f} {_sparkline(episode.curve)} {episode.curve[-1]:.4f}"
    )
    return "\n".join([_headline(domains, episode), "", *table, "", curve])


def rgb_array(domains: tuple[str, ...], operators: tuple[str, ...], episode: Episode) -> NDArray[np.uint8]:
    """Draw the episode as a picture of 360 x 900 pixels, (H, W, 3); a cell without any candidate shown is hatched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained", facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)
    figure.suptitle(_headline(domains, episode), fontsize=11, x=0.01, ha="left", parse_math=False)
    left, right = figure.subplots(1, 2, width_ratios=[5, 4])
    _draw_weights(left, domains, operators, _mean_weight(domains, episode))
    _draw_curve(right, episode.curve, episode.metric)
    canvas.draw()
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()


RENDER: dict[str, Callable[..., str | NDArray[np.uint8]]] = {"ansi": ansi, "rgb_array": rgb_array}
"""Render modes, and how each draws an episode."""
RENDER_MODES = tuple(RENDER)


def _draw_weights(axes: Any, domains: tuple[str, ...], operators: tuple[str, ...], means: NDArray[np.float64]) -> None:
    axes.set_facecolor("0.97")
    axes.patch.set(hatch="///", edgecolor="0.85")
    image = axes.imshow(np.ma.masked_invalid(means), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(operators) > 5 else {}
    axes.set_xticks(range(len(operators)), operators, parse_math=False, **slanted)
    axes.set_yticks(range(len(domains)), domains, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), mean in np.ndenumerate(means):
        if not np.isnan(mean):
            axes.text(column, row, f"{mean:.2f}", ha="center", va="center", color="white" if mean > 0.55 else "0.1")
    axes.set_title("mean weight", fontsize=10)
    axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02).outline.set_visible(False)


def _draw_curve(axes: Any, curve: list[float], metric: str) -> None:
    axes.plot(range(len(curve)), curve, color="#1f5fa8", marker="o", markersize=4)
    axes.axhline(curve[0], color="0.7", linewidth=1, linestyle=":", zorder=0)
    axes.annotate(
        f"{curve[-1]:.4f}", (len(curve) - 1, curve[-1]), xytext=(0, 8), textcoords="offset points", ha="center"
    )
    axes.set_xlim(-0.5, max(len(curve) - 0.5, 1.5))
    axes.margins(y=0.2)
    axes.locator_params(axis="x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_xlabel("step")
    axes.set_title(f"{CURVES[metric]} on dev (up is better)", fontsize=10)


def _headline(domains: tuple[str, ...], episode: Episode) -> str:
    info = episode.info(domains)
    return "   ".join([f"step {episode.t}", *(f"{name} {info[key]:.3f}" for key, name in SCORES.items())])


def _mean_weight(domains: tuple[str, ...], episode: Episode) -> NDArray[np.float64]:
    """Divide the weight given by the candidates shown, (D, O); NaN where none was shown."""
    mean = np.full(len(episode.weight), np.nan)
    np.divide(episode.weight, episode.shown, out=mean, where=episode.shown > 0)
    return mean.reshape(len(domains), -1)


def _block(share: float) -> str:
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]


def _sparkline(curve: list[float]) -> str:
    picked = np.linspace(0, len(curve) - 1, min(len(curve), WIDEST)).round().astype(int)
    points = np.array(curve)[picked]
    span = points.max() - points.min()
    return "".join(_block((point - points.min()) / span if span else 0.5) for point in points)
