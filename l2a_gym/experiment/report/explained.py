"""The words around a report's numbers: what they are, how they were made, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.wording import either, listed
from l2a_gym.experiment.rows import Failure, Row

KINDS = {"learner": "learns", "control": "control", "bound": "bound", "baseline": ""}
INTRO = (
    "A task has a target, a domain of texts with few labels, and sources, other domains with many labels, some of "
    "them wrong. A selector gives each candidate text, most of them from the sources, a weight from 0 to 1, and a "
    "small BERT model, the student, is trained on them. The better it then classifies the target's test texts, the "
    "better the selector. Each selector is trained anew on every task with every seed, from which all random draws "
    "follow. Its budget is counted in units: updates of a student, and passes over the target's dev texts, by which "
    "rewards are computed."
)
GAINS = (
    "A gain is a difference of test accuracy in points (percentage points) between two selectors on the same tasks at"
    " the same seeds: the mean over tasks of means over seeds, with its 95 % interval in brackets."
)
VERDICTS = (
    "Selectors that learn are compared with uniform (all candidates alike), random-search (tries random settings of a"
    " simple rule and keeps the best) and best-rule (of the fixed rules, which learn nothing, the best on dev), where"
    " these were run. p is the chance of a gain so far from 0 if the two were alike, by a sign-flip test, raised by "
    "Holm's method since there are several tests; a difference is called significant where p is below 0.05."
)
HERO = (
    "Points of test accuracy that each selector gains over another. Dot: mean; bar: 95 % interval, which a single "
    "seed does not have; short strokes: single tasks. Round and in colour: selectors that learn. Square: fixed rules."
    " Diamond: controls, which learn nothing on purpose, and the oracle, which knows the wrong labels."
)
LEADERBOARD = (
    "vs.: the gain over that selector, then p. Seeds: those that the selector and uniform have on all tasks; others "
    "are in no comparison."
)
CELLS = (
    "Test accuracy in %, mean over seeds, and points more than uniform at the same seeds, ± half of a 95 % t-interval"
    " where there are several. none is a student without candidates, trained on the target's few labelled texts, the "
    "shots. The all-data teacher is the large model that was fine-tuned on sources and shots."
)
CLASSIFIERS = (
    "Test accuracy in % ± its standard error of each teacher, then of each reference, which is what a person would "
    "try first, on the same splits; labels counts the target's labelled texts that it learnt from or was chosen by."
)
ANYTIME = (
    "Mean return of final students (the gain on dev over an episode, the training of a student) of what a selector "
    "had learnt by each share of the budget, tasks weighted alike. Lines are steps, since a selector was looked at "
    "only now and then, and begin with the first look."
)
CHOICES = (
    "Each picture is an episode, the training of one student, from left to right. The height of a colour is its share"
    " of all weight given so far, mean over final students and seeds. An operator is how a candidate was made; source"
    " means taken as it is. Selectors that drop all candidates are left out."
)
LABELS = (
    "Each picture is an episode, the training of one student, from left to right. The height of the colour is the "
    "share of all weight given so far that went to texts with a wrong label, mean over final students and seeds; the "
    "number is the share at the end. Wrong labels are known where they were put there on purpose; only the oracle "
    "sees which. Broken line: their share among all candidates shown, which is what uniform gives them."
)
WRONG = (
    "Share of all weight that went to wrong labels by the end of an episode, in %. They are known where they were put"
    " there on purpose; uniform's is their share among all candidates shown."
)
EXAMPLES = (
    "Texts that the best selector that learns was shown while its first final student was trained, at one seed: three"
    " of the highest and three of the lowest mean weights; 0 drops a text."
)
GRID = (
    "Which runs there are, by selector and seed. \N{BLACK CIRCLE}: on all tasks; a number: on so many tasks; "
    "\N{BALLOT X} and a number: so many failed; \N{EN DASH}: not run."
)
STATISTICS = (
    "A run is one training with draws of its own, which follow from task and seed; its score is the mean test accuracy "
    "of its final students, those that are trained under what was learnt. Selectors are compared at seeds that both "
    "have on all tasks, by one statistic: the mean over tasks of means over seeds of the paired differences.",
    "Its interval is a stratified bootstrap (2,000 draws of seeds within each task) as of Agarwal, Schwarzer, Castro, "
    "Courville and Bellemare, Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021 "
    "(arXiv 2108.13264). Every bootstrap starts its own generator from seed 0, so that the same rows give the same "
    "figures.",
    "p comes from flipping the signs of all pairs in all ways (beyond 16 pairs, 65,536 random ones). With n pairs it "
    "can't be below 2 / 2^n. Holm's adjustment is made for each reference among the selectors of a kind: those that "
    "learn, controls, the bound, all others. Bootstrap intervals over few seeds are somewhat too narrow; the verdicts "
    "go by p alone.",
    "A selector learns if it was worth something before its training ended; best-rule, which chooses among fixed "
    "rules, counts as one of them. What a selector spends is counted around the environments: student updates and "
    "passes over dev.",
)
TEXTS = {
    "intro": INTRO,
    "gains": GAINS,
    "verdicts": VERDICTS,
    "hero": HERO,
    "leaderboard": LEADERBOARD,
    "cells": CELLS,
    "classifiers": CLASSIFIERS,
    "anytime": ANYTIME,
    "choices": CHOICES,
    "labels": LABELS,
    "examples": EXAMPLES,
    "grid": GRID,
    "statistics": STATISTICS,
}


def level(found: Leaderboard) -> str:
    """The sentence on what a gain of 0 is; empty where uniform has no seed on all tasks."""
    return f"0 is uniform, whose mean test accuracy is {100 * found.level:.1f} %." if found.level == found.level else ""


def facts(found: Leaderboard) -> dict[str, str]:
    """The size of a benchmark, in five numbers."""
    return {
        "rows": f"{len(found.keys):,}",
        "tasks": f"{len(found.tasks)}",
        "selectors": f"{len(found.cells)}",
        "seeds": f"{len(found.seeds)}",
        "budget": f"{found.budget:,} units",
    }


def made(rows: Sequence[Row], found: Leaderboard) -> dict[str, str]:
    """What a repetition has to keep alike, and what it costs."""
    versions = {
        name: either(row.versions.get(name, "") for row in rows) for name in _names(row.versions for row in rows)
    }
    settings = {
        name: either(row.settings.get(name, "") for row in rows) for name in _names(row.settings for row in rows)
    }
    return {
        "tasks": listed(found.tasks),
        "budget": f"{found.budget:,} units a training (student updates and passes over dev)",
        "seeds": listed(found.seeds),
        "final students": f"{either(len(row.students) for row in rows)} a training",
        **({"settings": listed(f"{name} = {value}" for name, value in settings.items())} if settings else {}),
        "versions": listed(f"{name} {value}" for name, value in versions.items()),
        "machine": either(row.machine for row in rows),
        "time": _time(sum(row.seconds for row in rows)),
    }


def _time(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} hours of one thread" if seconds >= 3600 else f"{seconds / 60:.1f} minutes of one thread"
    )


def _names(tables: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for table in tables for name in table))


def problems(found: Leaderboard, failures: Sequence[Failure]) -> dict[str, list[str]]:
    """Lines on what failed, and on what makes rows less comparable; by heading."""
    failed = [f"{each.selector} on {each.task}, seed {each.seed}: {each.reason}" for each in failures]
    lines = {"Failed": failed, "Warnings": list(found.warnings)}
    return {title: each for title, each in lines.items() if each}
