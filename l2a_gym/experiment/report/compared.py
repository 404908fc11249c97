"""Each selector over all tasks: its paired differences from the selectors that it has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from l2a_gym.experiment.report.scores import Scored
from l2a_gym.experiment.report.statistics import Interval, bootstrap_mean, holm, sign_flip
from l2a_gym.experiment.suite import UNIFORM

SEARCH, BEST_RULE = "random-search", "best-rule"
REFERENCES = (UNIFORM, SEARCH, BEST_RULE)
"""What a selector has to beat: all candidates alike, a search that learns nothing between its tries, and the best of
the fixed rules. Where rows lack one, selectors are compared with the others."""
CONTROLS = {"shuffled": "trained on rewards that mean nothing", "frozen": "as it starts, untrained"}
"""What may stand behind the ``@`` of a learner's name, and what it makes of the learner."""
BOUND = "oracle"
RNG_SEED = 0
"""Each interval and each test starts a generator of its own from it, so that none depends on the other selectors."""

Kind = Literal["learner", "control", "bound", "baseline"]


@dataclass(frozen=True)
class Difference:
    """How far a selector is ahead of another, in points of test accuracy.

    Attributes:
        mean: over tasks of means over seeds, with its 95 % interval by a bootstrap over the seeds, task by task.
        by_task: (T,) means over seeds.
        seeds: that both have on all tasks.
        pairs: of runs: seeds times tasks.
        p: two-sided, of a mean of zero, by flipping the signs of the pairs' differences.
        adjusted: the same after Holm's adjustment over the ``family``.
        family: number of selectors of the same kind that are compared with this one.
    """

    mean: Interval
    by_task: tuple[float, ...]
    seeds: int
    pairs: int
    p: float
    adjusted: float = 1.0
    family: int = 1

    @property
    def least(self) -> float:
        """The smallest ``adjusted`` that so few pairs can give: all have the same sign, and Holm multiplies it."""
        return min(1.0, self.family * 2.0 ** (1 - self.pairs))


@dataclass(frozen=True)
class Entry:
    """A selector over all tasks of the benchmark.

    Attributes:
        selector: its name.
        kind: what it is there for.
        seeds: those that it and uniform have on all tasks.
        over: reference -> how far this selector is ahead of it.
    """

    selector: str
    kind: Kind
    seeds: tuple[int, ...]
    over: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def gain(self) -> Interval:
        """Points of test accuracy more than uniform; uniform itself has 0."""
        return self.over[UNIFORM].mean if UNIFORM in self.over else Interval(0.0, float("nan"), float("nan"))


def kind_of(scored: Scored, selector: str) -> Kind:
    """What a selector is there for; one learns if it was worth something before its training ended.

    The best rule spends its budget on a choice among fixed rules: it stays one of them.
    """
    if selector.rpartition("@")[2] in CONTROLS and "@" in selector:
        return "control"
    if selector == BOUND:
        return "bound"
    if selector == BEST_RULE:
        return "baseline"
    learns = any(key.selector == selector and len(row.curve) > 1 for key, row in scored.rows.items())
    return "learner" if learns else "baseline"


def compare(scored: Scored) -> list[Entry]:
    """All selectors that share a seed with uniform on all tasks, the best first; of equals, in the rows' order."""
    complete = [selector for selector in scored.selectors if scored.complete(selector, UNIFORM)]
    found = _adjusted([_entry(scored, selector) for selector in complete])
    return sorted(found, key=lambda each: -each.gain.value)


def references(entries: Sequence[Entry]) -> list[str]:
    """Those of :data:`REFERENCES` that selectors are compared with."""
    return [each for each in REFERENCES if any(each in entry.over for entry in entries)]


def _entry(scored: Scored, selector: str) -> Entry:
    over = {each: _difference(scored, selector, each) for each in REFERENCES if each != selector}
    return Entry(
        selector=selector,
        kind=kind_of(scored, selector),
        seeds=scored.complete(selector, UNIFORM),
        over={reference: found for reference, found in over.items() if found},
    )


def _difference(scored: Scored, selector: str, reference: str) -> Difference | None:
    """None where no seed has both on all tasks."""
    if not (seeds := scored.complete(selector, reference)):
        return None
    found = scored.differences(selector, reference, scored.tasks, seeds)
    p = sign_flip(found.ravel(), np.random.default_rng(RNG_SEED)) if found.size > 1 else 1.0
    mean = bootstrap_mean(found, np.random.default_rng(RNG_SEED))
    return Difference(mean, tuple(found.mean(axis=0).tolist()), len(seeds), found.size, p)


def _adjusted(entries: Sequence[Entry]) -> list[Entry]:
    """Holm's adjustment, for each reference over the selectors of a kind."""
    adjusted = {
        (kind, reference): holm(
            {s.selector: s.over[reference].p for s in entries if s.kind == kind and reference in s.over}
        )
        for kind in {entry.kind for entry in entries}
        for reference in REFERENCES
    }

    def of(entry: Entry, reference: str) -> Difference:
        family = adjusted[entry.kind, reference]
        return replace(entry.over[reference], adjusted=family[entry.selector], family=len(family))

    return [replace(each, over={reference: of(each, reference) for reference in each.over}) for each in entries]
