"""What the pool is made of, and the make-ups that have a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_gym.augment.policy import POLICIES
from l2a_gym.augment.settings import ChainConfig, MaskedTraining
from l2a_gym.config import configured
from l2a_gym.errors import UserError, check_choice
from l2a_gym.plugins import Registry

SOURCE = "source"
"""The operator of a source text, which is taken as it is."""
UNLABELLED = "unlabelled"
"""The operator of a text of the target that has no label; it is taken as it is, too."""
LEXICAL = ("swap", "delete", "insert", "replace")
OPERATORS: Registry[Any] = Registry(
    "operator",
    "l2a_gym.operators",
    {
        **dict.fromkeys(LEXICAL, "l2a_gym.augment.operators:lexical"),
        "mix": "l2a_gym.augment.operators:mix",
        "mlm-target": "l2a_gym.augment.operators:mlm_target",
        "mlm-source": "l2a_gym.augment.operators:mlm_source",
    },
)
"""Name -> what makes the operator, a ``Maker`` of ``operators.py``."""


@dataclass(frozen=True)
class PoolConfig:
    """What the pool is made of, besides all source texts.

    Attributes:
        copies: operator -> candidates for each text that it starts from, before duplicates are dropped; 0.25 makes one
            for a quarter of the texts.
        share: share of a text's words that ``swap`` to ``mix`` edit, in (0, 1].
        labels: who labels new texts: ``keep`` (as the text they were made from), ``teacher`` (the all-data teacher), or
            ``agree`` (kept, and texts are dropped where that teacher disagrees).
        masked_lm: how the masked language model is trained.
        chain: how it walks.
        preference: a .npy file with a weight for each text to start from, source texts first, then the shots: texts are
            drawn in these proportions, and the all-data teacher learns in them; empty: all alike.
    """

    copies: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(LEXICAL, 4))
    share: float = 0.1
    labels: str = "keep"
    masked_lm: MaskedTraining = field(default_factory=MaskedTraining)
    chain: ChainConfig = field(default_factory=ChainConfig)
    preference: str = ""

    def __post_init__(self) -> None:
        check_choice("label policy", self.labels, POLICIES)
        for name, copies in self.copies.items():
            check_choice("operator", name, OPERATORS)
            if not (isinstance(copies, int | float) and copies >= 0 and isfinite(copies)):
                raise UserError(f"copies of {name} = {copies!r}: valid are numbers from 0")
        if not 0 < self.share <= 1:
            raise UserError(f"share = {self.share}: valid are numbers above 0, up to 1")
        if self.preference and not Path(self.preference).is_file():
            raise UserError(f"there is no file {self.preference}: preference names a .npy file, or is empty")

    def operators(self, unlabelled: bool) -> tuple[str, ...]:
        """All operators that a candidate can come from, where the task has texts without labels or has none."""
        return (SOURCE, *self.copies, *([UNLABELLED] if unlabelled else []))

    def preferred(self) -> NDArray[np.float64] | None:
        """The weights in the file ``preference``; None without one.

        Raises:
            UserError: the file holds no row of numbers.
        """
        if not self.preference:
            return None
        try:
            weights = np.load(self.preference, allow_pickle=False).astype(np.float64)
        except ValueError as error:
            raise UserError(f"the preference {self.preference} can't be read: {error}") from error
        if weights.ndim != 1 or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise UserError(f"the preference {self.preference} is not valid: valid is one row of numbers from 0")
        return weights

    @staticmethod
    def from_setting(pool: str | Mapping[str, Any]) -> PoolConfig:
        """The make-up of a name in :data:`POOLS`, or the default with other values in their place.

        Args:
            pool: a name, the path of a JSON file that holds values, or the values.

        Raises:
            UserError: an unknown name, a file that can't be read, or a value that is not valid.
        """
        if isinstance(pool, str) and pool.endswith(".json"):
            pool = _read(pool)
        if isinstance(pool, str):
            check_choice("pool", pool, [*POOLS, "a path to a file (*.json)"])
            return POOLS[pool]
        return configured(PoolConfig(), pool, "pool")


def _read(path: str) -> dict[str, Any]:
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the pool's settings {path} can't be read: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"the pool's settings {path} are no JSON object: valid are values by name")
    if values.get("preference"):  # seen from the file's folder
        values["preference"] = str(Path(path).parent / str(values["preference"]))
    return values


POOLS = {
    "sources": PoolConfig(copies={}),
    "lexical": PoolConfig(),
    "generated": PoolConfig(
        copies={**dict.fromkeys(LEXICAL, 4), "mix": 4, "mlm-target": 32, "mlm-source": 2},
        labels="teacher",
        chain=ChainConfig(mask_share=0.25, temperature=1.0, top_k=50, keep=2),
    ),
}
"""Make-ups by name: the source texts alone; with edited shots; with texts of the masked language model as well."""
