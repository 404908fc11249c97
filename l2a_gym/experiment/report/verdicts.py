"""What a benchmark has shown, in plain sentences; also where it is that learning did not help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from l2a_gym.experiment.report.compared import BOUND, CONTROLS, REFERENCES, Difference, Entry
from l2a_gym.experiment.report.statistics import Interval
from l2a_gym.experiment.report.wording import count, p_value, points
from l2a_gym.experiment.suite import UNIFORM

LEVEL = 0.05

Outcome = Literal["beats", "loses", "undecided", "undecidable"]


@dataclass(frozen=True)
class Verdict:
    """A learner against a selector that it has to beat.

    Attributes:
        selector: the learner.
        reference: the other.
        outcome: ``undecidable`` where so few pairs of runs could not have shown any difference.
        text: a sentence.
    """

    selector: str
    reference: str
    outcome: Outcome
    text: str


def verdicts(entries: Sequence[Entry], tasks: int) -> list[Verdict]:
    """One for each learner and each reference, but itself, that it shares seeds with."""
    learners = [each for each in entries if each.kind == "learner"]
    return [_verdict(each, reference, tasks) for each in learners for reference in REFERENCES if reference in each.over]


def _verdict(entry: Entry, reference: str, tasks: int) -> Verdict:
    found = entry.over[reference]
    outcome = _outcome(found)
    facts = f"({count(tasks, 'task')}, {count(found.seeds, 'seed')}"
    facts += ")" if outcome == "undecidable" else f", p {_equals(found.adjusted)} after Holm)"
    return Verdict(entry.selector, reference, outcome, f"{entry.selector} {_said(outcome, reference, found, facts)}.")


def _outcome(found: Difference) -> Outcome:
    if found.least > LEVEL:
        return "undecidable"
    if found.adjusted > LEVEL:
        return "undecided"
    return "beats" if found.mean.value > 0 else "loses"


def _said(outcome: Outcome, reference: str, found: Difference, facts: str) -> str:
    ahead = found.mean.value > 0
    lead = points(found.mean if ahead else Interval(-found.mean.value, -found.mean.high, -found.mean.low))
    if outcome == "undecided":
        return f"has no significant difference from {reference}: {points(found.mean)} {facts}"
    if outcome == "undecidable":
        holm = f" after Holm over {count(found.family, 'selector')}" if 2.0 ** (1 - found.pairs) <= LEVEL else ""
        so_few = f"but no sign-flip test over {count(found.pairs, 'pair')} of runs can reach {LEVEL}{holm}"
        return f"is {'ahead of' if ahead else 'behind'} {reference} by {lead} {facts}, {so_few}"
    return f"{'beats' if ahead else 'loses to'} {reference} by {lead} {facts}"


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def controls(entries: Sequence[Entry]) -> list[str]:
    """A sentence for each control of a learner, and one for the bound."""
    said = [_control(each) for each in entries if each.kind == "control" and UNIFORM in each.over]
    return said + [_bound(each) for each in entries if each.kind == "bound"]


def _control(entry: Entry) -> str:
    learner, _, suffix = entry.selector.rpartition("@")
    found = entry.over[UNIFORM].mean
    start = f"{entry.selector} is {learner} {CONTROLS[suffix]}: it"
    if found.low != found.low:
        return f"{start} has {points(found)} more than {UNIFORM}, and one seed gives no interval."
    if found.low > 0:
        return (
            f"{start} beats {UNIFORM} by {points(found)}, which it should not: "
            f"as much of {learner}'s lead over {UNIFORM} does not come from its rewards."
        )
    worse = " It is worse." if found.high < 0 else ""
    return f"{start} should not beat {UNIFORM}, and does not: {points(found)}.{worse}"


def _bound(entry: Entry) -> str:
    return f"{BOUND} knows which labels are wrong: its gain of {points(entry.gain)} is a bound, not a method."
