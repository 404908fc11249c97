"""Shows how far a long computation is: a bar on a terminal, whole lines now and then in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

EVERY = 30.0
"""Seconds between two lines of a computation, at least."""


def progress_bar(iterable: Iterable[Any] | None = None, *, file: TextIO | None = None, **options: Any) -> tqdm:
    """A bar of ``tqdm``, which has these options; :class:`Lines` where ``file``, by default stderr, is no terminal."""
    goal = file or sys.stderr
    return (tqdm if goal.isatty() else Lines)(iterable, file=goal, **options)


class Lines(tqdm):  # type: ignore[misc]  # tqdm has no types
    """The bar's figures as lines: at most one every :data:`EVERY` seconds, and one at the end.

    A bar that vanishes from a terminal at its end (``leave=False``) has no last line if it had none before.

    Args:
        iterable: as ``tqdm`` takes it.
        options: those of ``tqdm``.
    """

    def __init__(self, iterable: Iterable[Any] | None, **options: Any) -> None:
        self.due, self.shown = time.monotonic() + EVERY, False
        super().__init__(iterable, gui=True, ncols=0, smoothing=0, **options)  # gui: tqdm itself writes nothing

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line if it is time."""
        if time.monotonic() >= self.due:
            self._write()

    def clear(self, nolock: bool = False) -> None:
        """Leave the lines as they are."""

    def close(self) -> None:
        """Write the last line."""
        if not self.disable:
            super().close()
            if self.leave or self.shown:
                self._write()

    def _write(self) -> None:
        self.fp.write(f"{self}\n")
        self.fp.flush()
        self.due, self.shown = time.monotonic() + EVERY, True
