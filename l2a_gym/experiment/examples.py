"""Texts that a final student was shown, with the weights that they got: what a selector likes, and what it drops."""

from __future__ import annotations

import numpy as np

from l2a_gym.experiment.adapter import DistillAdapter, TaskAdapter
from l2a_gym.experiment.rows import Example
from l2a_gym.experiment.students import Played
from l2a_gym.wording import shortened

COUNT = 3
"""Texts of the highest weights, and as many of the lowest."""
LENGTH = 160
"""Characters that are kept of a text."""


def examples(adapter: TaskAdapter, played: Played) -> tuple[Example, ...]:
    """The candidates of the highest mean weight, then those of the lowest; of equals, those that were shown first.

    None on the toy, whose candidates are no texts.
    """
    if not isinstance(adapter, DistillAdapter):
        return ()
    rows, first, at = np.unique(played.shown, return_index=True, return_inverse=True)
    at = at.ravel()
    mean = np.bincount(at, played.weights.ravel()) / np.bincount(at)
    order = np.lexsort((first, -mean))
    prepared, chosen = adapter.prepared, [*dict.fromkeys([*order[:COUNT], *order[-COUNT:]])]
    pool, manifest = prepared.pool(), prepared.manifest()
    label, flipped = (prepared.array(f"signals/{name}") for name in ("label", "flipped"))

    def example(row: int, weight: float) -> Example:
        candidate = pool[row]
        text = " / ".join(candidate[name] for name in ("text", "pair") if name in candidate)
        return Example(
            text=shortened(text, LENGTH),
            label=manifest["labels"][label[row]],
            domain=manifest["domains"][candidate["domain"]],
            wrong=bool(flipped[row]),
            weight=round(weight, 4),
        )

    return tuple(example(int(rows[i]), float(mean[i])) for i in chosen)
