"""What stays the same in every episode of an environment: the prepared texts as tensors on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.distill.data import Labelled, Taught
from l2a_gym.envs.context import PoolContext
from l2a_gym.envs.features import FEATURES, Fixed
from l2a_gym.preparation.store import Prepared

ANCHORS = {"shots": "train", "all": "select"}
"""Which labelled texts join each update -> the split that ends with the last of them."""


@dataclass(frozen=True)
class World:
    """The fixed part of an environment; n candidates, F columns, D domains, G = D x O groups.

    Attributes:
        prepared: where it all comes from.
        teacher: which one teaches.
        texts: the candidates, then all that may be anchors, with the teacher's logits: labelled texts, then phrases.
        dev: the target's dev split.
        candidates: n; the anchors' rows begin there.
        usable: rows of the candidates that the pool's label policy lets be shown.
        static: (n, F) float32 columns; those that the student changes are zero.
        domain: (n,) index of each candidate's domain.
        operator: (n,) index of each candidate's operator.
        group: (n,) index of each candidate's domain x operator, domain-major.
        groups: (G,) row lists, one a group; some are empty.
        sizes: (D,) share of the candidates, by domain.
        made: (O,) the same by operator.
        distance: (D,) of each domain to the target.
    """

    prepared: Prepared
    teacher: str
    texts: Taught
    dev: Labelled
    candidates: int
    usable: NDArray[np.int64]
    static: Tensor
    domain: Tensor
    operator: Tensor
    group: NDArray[np.int64]
    groups: list[NDArray[np.int64]]
    sizes: Tensor
    made: Tensor
    distance: Tensor

    def anchors(self, which: str) -> range:
        """Rows of the labelled texts of the target that join each update, by their name in :data:`ANCHORS`."""
        return range(self.candidates, self.prepared.rows[ANCHORS[which]].stop)

    @property
    def phrases(self) -> int:
        """How many phrases each labelled text has; their rows follow those of the labelled texts."""
        labelled = self.anchors("all")
        return (len(self.texts.label) - labelled.stop) // len(labelled)

    def phrases_of(self, labelled: range) -> range:
        """Rows of the phrases that were cut out of the first labelled texts, the rows ``labelled``."""
        start = self.anchors("all").stop
        return range(start, start + self.phrases * len(labelled))


def load_world(
    prepared: Prepared,
    teacher: str,
    features: Sequence[str],
    sizes: Mapping[str, int],
    device: torch.device,
    phrases: Taught | None = None,
) -> World:
    """Put a prepared task on a device; the test split stays on disk.

    ``sizes`` has the number of values of each one-hot feature, by its name; ``phrases`` are those of labelled texts.
    """
    domains, operators = sizes["domain"], sizes["operator"]
    rows = slice(0, prepared.rows[ANCHORS["all"]].stop)
    pool = prepared.rows["pool"]
    domain, operator = (np.array(prepared.array(f"signals/{name}")) for name in ("domain", "operator"))
    usable = np.flatnonzero(prepared.array("signals/usable"))
    group = domain * operators + operator
    texts = prepared.taught(rows, teacher)
    return World(
        prepared=prepared,
        teacher=teacher,
        texts=(texts if phrases is None else Taught.cat([texts, phrases])).to(device),
        dev=prepared.labelled(prepared.rows["dev"]).to(device),
        candidates=pool.stop,
        usable=usable,
        static=_fixed_columns(PoolContext(prepared, teacher, sizes), features).to(device),
        domain=torch.from_numpy(domain).to(device),
        operator=torch.from_numpy(operator).to(device),
        group=group,
        groups=[usable[group[usable] == g] for g in range(domains * operators)],
        sizes=_shares(domain[usable], domains).to(device),
        made=_shares(operator[usable], operators).to(device),
        distance=torch.from_numpy(prepared.array("signals/distance").astype(np.float32).clip(0, 2)).to(device),
    )


def _shares(group: NDArray[np.int64], groups: int) -> Tensor:
    return torch.from_numpy((np.bincount(group, minlength=groups) / len(group)).astype(np.float32))


def _fixed_columns(pool: PoolContext, features: Sequence[str]) -> Tensor:
    """The columns (n, F) of the candidates, zeros where students change them."""
    n = pool.rows.stop - pool.rows.start
    columns = [each.value(pool) if isinstance(each := FEATURES[name], Fixed) else torch.zeros(n) for name in features]
    return torch.cat([column.float().reshape(n, -1) for column in columns], dim=1)
