"""Where the marks of a report's smallest pictures stand: shares of weight over an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a_gym.experiment.report.details import Shares


@dataclass(frozen=True)
class Area:
    """A share of all weight over an episode's steps, upon those before it.

    Attributes:
        name: what the weight was given to.
        colour: the number of its colour.
        points: corners, as of an SVG polygon in a box of 100 by 100.
        last: the share at the episode's end.
    """

    name: str
    colour: int
    points: str
    last: float


def areas(shares: Shares, colours: Mapping[str, int]) -> list[Area]:
    """Stacked areas; none where no weight was given at all.

    Args:
        shares: name -> share by the end of each step (T,).
        colours: a number for each name.
    """
    found, below = [], np.zeros(max(map(len, shares.values()), default=0))
    for name in (name for name in shares if max(shares[name]) > 0):
        above = below + shares[name]
        found.append(Area(name, colours[name] % 8, _band(below, above), shares[name][-1]))
        below = above
    return found


def _band(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    """Corners of the area between two lines: along the upper, and back along the lower. One step is a level line."""
    if len(low) == 1:
        return _band(low.repeat(2), high.repeat(2))
    x = np.linspace(0, 100, len(low))
    corners = [*zip(x, high, strict=True), *reversed([*zip(x, low, strict=True)])]
    return " ".join(f"{round(at)},{100 - 100 * min(1.0, value):.0f}" for at, value in corners)


def line(share: Sequence[float]) -> str:
    """A share over an episode's steps, as the points of an SVG polyline in the same box."""
    at = np.array(share)
    return " ".join(_band(at, at).split()[: max(2, len(at))])
