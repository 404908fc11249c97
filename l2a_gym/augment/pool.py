"""The candidates: source texts as they are, and what the operators make of source texts and of the target's shots."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from l2a_gym.augment.config import PoolConfig
from l2a_gym.augment.operator import Operator, Sides, sides_of
from l2a_gym.errors import UserError, check_choice
from l2a_gym.tasks.normal import normal_form
from l2a_gym.tasks.task import Task, Texts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CandidatePool:
    """n candidates, column by column.

    Attributes:
        texts: the texts with their given labels, -1 where there is none; made ones have the labels of the texts they
            were made from.
        domain: (n,) int64, index into the task's ``domains``.
        operator: (n,) int64, index into what ``PoolConfig.operators`` gives.
        parent: (n,) int64, the row of the text it was made from: in its source's texts, or in the target's shots; of a
            text that is taken as it is, its own row.
        edit_share: (n,) float32 in [0, 1], 1 - similarity ratio of its operator's units to its parent's.
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

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> CandidatePool:
        """The candidates at ``rows``, in that order."""
        index = np.arange(len(self))[rows]
        columns = (self.domain, self.operator, self.parent, self.edit_share, self.flipped)
        return CandidatePool(self.texts.take(index), *(column[index] for column in columns))  # type: ignore[arg-type]


def make_pool(
    task: Task,
    config: PoolConfig,
    operators: Mapping[str, Operator],
    seed: int = 0,
    preference: NDArray[np.float64] | None = None,
) -> CandidatePool:
    """All source texts of a task, then its texts without labels, then what each operator makes.

    Args:
        task: the task.
        config: how many of each.
        operators: name -> operator, for each name in ``config.copies``.
        seed: of every draw.
        preference: weight of each source text, then of each shot, to start from; None: all alike.

    Raises:
        UserError: another number of weights, or an operator that doesn't keep to its interface.
    """
    sources = _concatenate([_source(task, d, name) for d, name in enumerate(task.domains) if name != task.target])
    starts = {"sources": sources, "shots": _as_they_are(task.train, 0)}
    size = len(sources) + len(task.train)
    if preference is not None and len(preference) != size:
        raise UserError(
            f"the preference has {len(preference)} weights: valid is one for each text to start from, {size}"
        )
    weights = (None, None) if preference is None else np.split(preference, [len(sources)])
    weight = dict(zip(starts, weights, strict=True))
    parts = [sources]
    if len(task.unlabelled):
        parts.append(_as_they_are(task.unlabelled, 0, operator=1 + len(config.copies)))
    seen = {_key(sides) for part in (*parts, starts["shots"]) for sides in sides_of(part.texts)}
    idle: list[str] = []
    streams = np.random.SeedSequence(seed).spawn(len(config.copies))
    for position, ((name, copies), stream) in enumerate(zip(config.copies.items(), streams, strict=True), start=1):
        operator = operators[name]
        kind = operator.start
        check_choice(f"start of the operator {name}", kind, starts)
        rows = draw_starts(len(starts[kind]), copies, weight[kind], np.random.default_rng(stream.spawn(1)[0]))
        sides = operator(starts[kind].texts, rows, np.random.default_rng(stream))
        if len(sides) != len(rows):
            raise UserError(f"the operator {name} made {len(sides)} texts: valid is one for each row, {len(rows)}")
        parts.append(_made(starts[kind], rows, sides, operator, position, seen))
        if len(rows) and not len(parts[-1]):
            idle.append(name)
    if idle:
        log.warning(
            "%s made no new text: edits need spaces between words that the checkpoint knows; choose a checkpoint that "
            "was trained in the language of the texts, or pool = 'sources'",
            ", ".join(idle),
        )
    return _concatenate(parts)


def draw_starts(
    n: int, copies: float, weight: NDArray[np.float64] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Sorted rows of the texts to start from, round(n * copies) in all.

    Args:
        n: texts that there are.
        copies: how often each occurs, on average; without weights all alike, give or take one.
        weight: (n,) >= 0; texts are drawn in these proportions. All zero is as none.
        rng: of the draw.
    """
    total = round(n * copies)
    if weight is not None and weight.sum() > 0:
        return np.sort(rng.choice(n, size=total, p=weight / weight.sum()))
    whole, rest = divmod(total, n) if n else (0, 0)
    return np.sort(np.concatenate([np.repeat(np.arange(n), whole), rng.permutation(n)[:rest]]))


def _source(task: Task, position: int, name: str) -> CandidatePool:
    return _as_they_are(task.sources[name], position, task.flipped.get(name))


def _as_they_are(
    texts: Texts, domain: int, flipped: NDArray[np.bool_] | None = None, operator: int = 0
) -> CandidatePool:
    n = len(texts)
    return CandidatePool(
        texts=texts,
        domain=np.full(n, domain),
        operator=np.full(n, operator),
        parent=np.arange(n),
        edit_share=np.zeros(n, dtype=np.float32),
        flipped=np.zeros(n, dtype=np.bool_) if flipped is None else flipped,
    )


def _made(
    starts: CandidatePool,
    rows: NDArray[np.int64],
    sides: list[Sides],
    operator: Operator,
    position: int,
    seen: set[Sides],
) -> CandidatePool:
    """What an operator made of the starts, without texts in ``seen``, which grows by the others."""
    new = []
    for i, each in enumerate(sides):
        if all(map(normal_form, each)) and _key(each) not in seen:
            seen.add(_key(each))
            new.append(i)
    rows = rows[new]
    origin = starts.take(rows)
    text, *pair = zip(*(sides[i] for i in new), strict=True) if new else ((), ())
    share = [_edit_share(operator, a, sides[i]) for a, i in zip(sides_of(origin.texts), new, strict=True)]
    return CandidatePool(
        texts=Texts(text, origin.texts.label, pair[0] if starts.texts.pair is not None else None),
        domain=origin.domain,
        operator=np.full(len(new), position),
        parent=origin.parent,
        edit_share=np.array(share, dtype=np.float32),
        flipped=origin.flipped,
    )


def _key(sides: Sequence[str]) -> Sides:
    """Texts with the same words in the same order are the same, whatever stands between the words."""
    return tuple(" ".join(side.split()) for side in sides)


def _edit_share(operator: Operator, parent: Sides, child: Sides) -> float:
    before, after = ([unit for side in sides for unit in operator.units(side)] for sides in (parent, child))
    return 1 - SequenceMatcher(None, before, after, autojunk=False).ratio()


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
