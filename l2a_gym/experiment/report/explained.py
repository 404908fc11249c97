"""The words around a report's numbers: what they are, how they were made, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from l2a_gym.experiment.report.leaderboard import Leaderboard
from l2a_gym.experiment.report.wording import either, keys, listed
from l2a_gym.experiment.rows import Failure, Row

KINDS = {"learner": "learns", "control": "control", "bound": "bound", "baseline": ""}
SCORE = (
    "The score is the interquartile mean over all seeds and tasks of test accuracy, normalised task by task: 0 is a "
    "student that learns from the shots alone (none), 1 the teacher that was fine-tuned on all data. In brackets: 95 % "
    "intervals."
)
LEADERBOARD = (
    "vs. another selector: mean paired difference of normalised scores, then p of a sign-flip test after Holm's "
    "adjustment. best-rule is the fixed rule that is best on dev, chosen on the same budget. Chance to beat uniform: "
    "probability that a run scores above one of uniform on the same task."
)
CELLS = "Test accuracy in %, mean over seeds ± half of a 95 % t-interval. Last row: the teacher, which counts as 1."
CLASSIFIERS = (
    "Test accuracy in % ± its standard error of each teacher, then of each reference, which is what a person would try "
    "first, on the same splits; labels counts the target's labelled texts that it learnt from or was chosen by."
)
PROFILES = (
    "Share of a selector's runs, on all tasks, that score above each normalised score: from left to right, 0 is none "
    "and 1 the all-data teacher. A curve further to the right is better. Thin broken line: uniform; dotted: "
    "random-search; dots and dashes: best-rule."
)
ANYTIME = (
    "Mean return of final students (the gain on dev over an episode) of what a selector had learnt by each share of "
    "the budget, tasks weighted alike. Lines are steps, since a selector was looked at only now and then, and begin "
    "with the first look."
)
CHOICES = (
    "Each picture is an episode from left to right; the height of a colour is its share of all weight given so far, "
    "mean over final students and seeds. Selectors that drop all candidates are left out."
)
STATISTICS = (
    "A run is one training with draws of its own, which follow from task and seed; its score is the mean test accuracy "
    "of its final students. With s the score, n the mean score of none on the task and t the all-data teacher's, the "
    "normalised score is (s - n) / (t - n). Selectors are compared at seeds that they have on all tasks. n is taken as "
    "known: its own error is in no interval.",
    "Interquartile mean, its stratified bootstrap interval (2,000 draws of runs within each task), performance "
    "profiles and the probability of improvement are after Agarwal, Schwarzer, Castro, Courville and Bellemare, "
    "Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021 (arXiv 2108.13264). Every "
    "bootstrap starts its own generator from seed 0, so that the same rows give the same figures.",
    "Differences are paired by seed and task; their mean has an interval by the same bootstrap, and p comes from "
    "flipping the signs of all pairs in all ways (beyond 16 pairs, 65,536 random ones). With n pairs it can't be below "
    "2 / 2^n. Holm's adjustment is made for each reference among the selectors of a kind: those that "
    "learn, controls, the bound, all others. Bootstrap intervals over few seeds are somewhat too narrow; the verdicts "
    "go by p alone.",
    "A selector learns if it was worth something before its training ended. What it spends is counted around the "
    "environments: student updates and passes over dev.",
)
TEXTS = {
    "score": SCORE,
    "leaderboard": LEADERBOARD,
    "cells": CELLS,
    "classifiers": CLASSIFIERS,
    "profiles": PROFILES,
    "anytime": ANYTIME,
    "choices": CHOICES,
    "statistics": STATISTICS,
}


def facts(found: Leaderboard) -> dict[str, str]:
    """The size of a benchmark, in five numbers."""
    return {
        "rows": f"{found.rows:,}",
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
    """Lines on what failed, what is missing without a reason, and what makes rows less comparable; by heading."""
    failed = [each for each in failures if not _has_row(found, each)]
    known = {each.key for each in failed}
    lines = {
        "Failed": [f"{each.selector} on {each.task}, seed {each.seed}: {each.reason}" for each in failed],
        "Missing": keys(key for key in found.missing if key not in known),
        "Warnings": list(found.warnings),
    }
    return {title: each for title, each in lines.items() if each}


def _has_row(found: Leaderboard, failure: Failure) -> bool:
    """Whether a run that failed was done later."""
    asked = failure.selector in found.cells and failure.task in found.tasks and failure.seed in found.seeds
    return asked and failure.key not in found.missing
