"""The candidates: source texts as they are, and edited copies of the target's shots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from l2a_gym.augment.lexical import OPERATORS, Edit, edit_text
from l2a_gym.augment.words import WordVectors
from l2a_gym.errors import UserError, unknown
from l2a_gym.tasks.task import Task, Texts

SOURCE = "source"
"""The operator of a source text, which is taken as it is."""


@dataclass(frozen=True)
class PoolConfig:
    """What the pool is made of.

    Attributes:
        operators: the operators that edit the target's shots.
        copies: candidates per shot and operator, before duplicates are dropped.
        share: share of a text's words that an operator edits, in (0, 1].
    """

    operators: tuple[str, ...] = tuple(OPERATORS)
    copies: int = 4
    share: float = 0.1

    def __post_init__(self) -> None:
        for name in self.operators:
            if name not in OPERATORS:
                raise unknown("operator", name, OPERATORS)
        if self.copies < 0 or not 0 < self.share <= 1:
            raise UserError(f"copies = {self.copies} must be 0 or more, and share = {self.share} in (0, 1]")

    @property
    def names(self) -> tuple[str, ...]:
        """All operators that a candidate can come from."""
        return (SOURCE, *self.operators)


@dataclass(frozen=True)
class CandidatePool:
    """n candidates, column by column.

    Attributes:
        texts: the texts with their given labels.
        domain: (n,) int64, index into the task's ``domains``.
        operator: (n,) int64, index into ``PoolConfig.names``.
        parent: (n,) int64, the row of the text it was made from: in its source's texts, or in the target's shots.
        edit_share: (n,) float32 in [0, 1], 1 - similarity ratio of its words to its parent's.
        flipped: (n,) bool, the given label is known to be wrong. For the oracle control only.
    """

    texts: Texts
    domain: NDArray[np.int64]
    operator: NDArray[np.int64]
    parent: NDArray[np.int64]
    edit_share: NDArray[np.float32]
    flipped: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.texts)


def make_pool(task: Task, config: PoolConfig, vectors: WordVectors, seed: int = 0) -> CandidatePool:
    """All source texts of a task, then the edited copies of its shots."""
    parts = [_source(task, position, name) for position, name in enumerate(task.domains) if name != task.target]
    streams = np.random.SeedSequence(seed).spawn(len(config.operators))
    seen = {_key(sides) for sides in _sides(task.train)}
    for position, (name, stream) in enumerate(zip(config.operators, streams, strict=True), start=1):
        parts.append(_copies(task, position, OPERATORS[name], config, vectors, np.random.default_rng(stream), seen))
    return _concatenate(parts)


def _source(task: Task, position: int, name: str) -> CandidatePool:
    texts = task.sources[name]
    n = len(texts)
    return CandidatePool(
        texts=texts,
        domain=np.full(n, position),
        operator=np.zeros(n, dtype=np.int64),
        parent=np.arange(n),
        edit_share=np.zeros(n, dtype=np.float32),
        flipped=task.flipped.get(name, np.zeros(n, dtype=np.bool_)),
    )


def _copies(
    task: Task,
    operator: int,
    edit: Edit,
    config: PoolConfig,
    vectors: WordVectors,
    rng: np.random.Generator,
    seen: set[tuple[str, ...]],
) -> CandidatePool:
    """Edited copies of the shots, without those in ``seen``, which grows by them. Of a pair, one side is edited."""
    shots, rows, sides = task.train, [], []
    for row in np.repeat(np.arange(len(shots)), config.copies).tolist():
        new = list(_sides(shots)[row])
        side = int(rng.integers(len(new)))
        new[side] = edit_text(new[side], edit, config.share, vectors, rng)
        if _key(new) not in seen:
            seen.add(_key(new))
            rows.append(row)
            sides.append(tuple(new))
    parent = np.array(rows, dtype=np.int64)
    n = len(parent)
    text, *pair = zip(*sides, strict=True) if sides else ((), ())
    return CandidatePool(
        texts=Texts(text, shots.label[parent], pair[0] if shots.pair is not None else None),
        domain=np.zeros(n, dtype=np.int64),
        operator=np.full(n, operator),
        parent=parent,
        edit_share=np.array(
            [_edit_share(_sides(shots)[p], s) for p, s in zip(rows, sides, strict=True)], dtype=np.float32
        ),
        flipped=np.zeros(n, dtype=np.bool_),
    )


def _sides(texts: Texts) -> list[tuple[str, ...]]:
    return list(zip(texts.text, strict=True)) if texts.pair is None else list(zip(texts.text, texts.pair, strict=True))


def _key(sides: Sequence[str]) -> tuple[str, ...]:
    """Texts with the same words in the same order are the same, whatever stands between the words."""
    return tuple(" ".join(side.split()) for side in sides)


def _edit_share(parent: tuple[str, ...], child: tuple[str, ...]) -> float:
    return 1 - SequenceMatcher(None, " ".join(parent).split(), " ".join(child).split(), autojunk=False).ratio()


def _concatenate(parts: list[CandidatePool]) -> CandidatePool:
    pairs = [part.texts.pair for part in parts if part.texts.pair is not None]
    return CandidatePool(
        texts=Texts(
            text=tuple(text for part in parts for text in part.texts.text),
            label=np.concatenate([part.texts.label for part in parts]),
            pair=tuple(text for pair in pairs for text in pair) if pairs else None,
        ),
        domain=np.concatenate([part.domain for part in parts]),
        operator=np.concatenate([part.operator for part in parts]),
        parent=np.concatenate([part.parent for part in parts]),
        edit_share=np.concatenate([part.edit_share for part in parts]),
        flipped=np.concatenate([part.flipped for part in parts]),
    )
