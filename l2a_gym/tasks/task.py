"""What a task is: a target domain with few labels, source domains with many, and a fixed budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNLABELLED = -1
"""The label of a text that has none."""


@dataclass(frozen=True)
class Texts:
    """Texts of one domain, with their labels.

    Attributes:
        text: n texts.
        label: (n,) int64, each an index into the task's ``labels``; :data:`UNLABELLED` for texts without labels.
        pair: n second texts where the task is about pairs, else None.
        group: n names of groups, empty where a text is in none, else None; texts of one group stand on one side.
        origin: where the n texts come from, as errors name it (``books.csv line 3``); None where nobody knows.
    """

    text: tuple[str, ...]
    label: NDArray[np.int64]
    pair: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    origin: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.text)

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> Texts:
        """The texts at ``index``, in that order."""
        return Texts(
            text=tuple(self.text[i] for i in index),
            label=self.label[np.asarray(index, dtype=np.int64)],
            pair=None if self.pair is None else tuple(self.pair[i] for i in index),
            group=None if self.group is None else tuple(self.group[i] for i in index),
            origin=None if self.origin is None else tuple(self.origin[i] for i in index),
        )


NO_TEXTS = Texts((), np.empty(0, dtype=np.int64))


def part_name(target: str, part: str) -> str:
    """What a part of the target that its data give (as ``test``) is called beside the domains; all others: ``""``."""
    return f"{target} {part}" if part else target


@dataclass(frozen=True)
class Found:
    """The texts of a domain as they came, and what was left out of them because it stood there before.

    Attributes:
        label: (n,) int64, the label of each text.
        repeated: how many stand in the target as well, in an earlier domain, or further up in their own.
        contradicting: those of them that have another label there.
        grouped: how many of the others are left out because a split that is held out has a text of their group.
    """

    label: NDArray[np.int64]
    repeated: int
    contradicting: tuple[str, ...]
    grouped: int = 0


@dataclass(frozen=True)
class Budget:
    """How much training an episode is: part of the task, equal for every selector.

    Attributes:
        steps: T, environment steps in an episode.
        candidates: N, candidates shown in a step.
        updates: K, student updates in a step, each on N / K of the candidates.
    """

    steps: int = 10
    candidates: int = 192
    updates: int = 3

    def __post_init__(self) -> None:
        if min(self.steps, self.candidates, self.updates) < 1 or self.candidates % self.updates:
            raise ValueError(f"{self} needs positive numbers, and candidates a multiple of updates")


@dataclass(frozen=True)
class Task:
    """A frozen learning problem.

    The target's splits are disjoint, except that ``select`` is ``dev`` in a task with a budget of labels; no text of a
    source stands in any of them.

    Attributes:
        id: names the task and everything in it.
        target: the target domain's name.
        labels: the class names.
        train: the few labelled target texts (the shots).
        dev: target texts for the reward.
        select: target texts to pick checkpoints and hyper-parameters.
        test: target texts for the final evaluation, and nothing else.
        sources: domain name -> texts, with the labels as given (noise included).
        flipped: domain name -> (n,) bool, which given labels are known to be wrong, of each source with troubles.
            Only the oracle control and reports may look at it.
        budget: the length and size of an episode.
        max_length: texts are cut at this many tokens; 0: by the data, once the checkpoint is known.
        unlabelled: more texts of the target, which stand in none of its splits and in no source; their label is
            :data:`UNLABELLED`.
        found: domain name -> its texts as they came, for people to look at; nothing is computed from it. Parts of the
            target that its data give have names of their own: :func:`part_name`.
    """

    id: str
    target: str
    labels: tuple[str, ...]
    train: Texts
    dev: Texts
    select: Texts
    test: Texts
    sources: Mapping[str, Texts]
    flipped: Mapping[str, NDArray[np.bool_]]
    budget: Budget = Budget()
    max_length: int = 0
    unlabelled: Texts = NO_TEXTS
    found: Mapping[str, Found] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains, the target first."""
        return (self.target, *self.sources)

    @property
    def labels_used(self) -> int:
        """How many different target texts have a label that is read before the test: in train, dev and select."""
        used = (self.train, self.dev, self.select)
        return len({sides for texts in used for sides in zip(texts.text, texts.pair or texts.text, strict=True)})


@dataclass(frozen=True)
class Outline:
    """What is known of a task before its texts are read.

    Attributes:
        domains: names, the target first.
        budget: the length and size of an episode.
        labels: the class names; empty where only the texts tell them.
        unlabelled: whether the target has texts without labels.
    """

    domains: tuple[str, ...]
    budget: Budget
    labels: tuple[str, ...]
    unlabelled: bool = False


def unlabelled_texts(task: Task) -> list[Texts]:
    """The target's texts without labels as a list of one, or of none where there are none."""
    return [task.unlabelled] if len(task.unlabelled) else []
