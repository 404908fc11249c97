"""What a run's exported student reaches on test, beside the best of what else was tried, in sentences and facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from l2a_gym.experiment.report.statistics import standard_error
from l2a_gym.experiment.report.wording import listed, number, per_cent
from l2a_gym.experiment.summary import format_in_words
from l2a_gym.wording import printable

SIMPLE = "TF-IDF"
"""The reference that everybody knows."""


def reached(summary: Mapping[str, Any]) -> str:
    """Its accuracy with those of the best teacher and reference, which dev names; how it differs from other students.

    Args:
        summary: of a run that exported a student.
    """
    exported, texts = summary["exported"], summary["texts"]["test"]
    others = [f"{_accuracy(figures, summary)} for {name}" for name, figures in _others(summary)]
    accuracy, beside = _accuracy(exported, summary), f" Beside it: {', '.join(others)}." if others else ""
    return (
        f"The exported student is right on {accuracy} of the {texts:,} test texts, with the standard error.{beside} "
        f"Unlike the short students that measure the selector, it takes {exported['updates']:,} updates in place of "
        f"{summary['updates']:,}, and learns from all labels of the target and from the {exported['teacher']} teacher, "
        f"chosen by select.{_both(exported)}"
    )


def _both(exported: Mapping[str, Any]) -> str:
    """What choosing is worth on the exported student's schedule."""
    reached = [
        f"{per_cent(each['test_accuracy'], 1)} with weights by {printable(name)}"
        for name, each in exported.get("long", {}).items()
    ]
    if len(reached) < 2:
        return ""
    return f" With the shots in place of all labels, such students reach {' and '.join(reached)}."


def facts(summary: Mapping[str, Any]) -> dict[str, str]:
    """What -> value."""
    exported, texts = summary["exported"], summary["texts"]
    share = exported["parameters"] / summary["parameters"]["teacher"]
    read = {"shots": "train", "dev": "dev", "select": "select"}
    parts = listed(f"{texts[split]:,} {name}" for name, split in read.items())
    return {
        "exported student, test": per_cent(exported["test_accuracy"], 1),
        "its size": f"{per_cent(share)} of the teacher's",
        "its speed": f"{exported['texts_per_second']:,.0f} texts/s",
        f"labels of the target read: {parts}": f"{exported['labels']:,}",
        **{name: format_in_words(each) for name, each in exported.get("formats", {}).items()},
    }


def _others(summary: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The best teacher and the best reference, and the simple one, in words -> figures."""
    own, references = summary["exported"]["parameters"], summary["references"]
    for kind, found in (("teacher", summary["teachers"]), ("reference", references)):
        if found:
            name = max(found, key=lambda each: found[each]["dev_accuracy"])
            yield (
                f"the {kind} that is best on dev ({printable(name)}; {_size(found[name]['parameters'] / own)})",
                found[name],
            )
    if SIMPLE in references:
        yield f"{SIMPLE} ({_size(references[SIMPLE]['parameters'] / own)})", references[SIMPLE]


def _accuracy(figures: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    accuracy = figures["test_accuracy"]
    error = standard_error(accuracy, summary["texts"]["test"])
    return f"{number(100 * accuracy, 1)}\N{NO-BREAK SPACE}\N{PLUS-MINUS SIGN}\N{NO-BREAK SPACE}{per_cent(error, 1)}"


def _size(ratio: float) -> str:
    """Of a classifier, the student being 1."""
    return f"{ratio:.1f} times its size" if ratio >= 1 else f"{per_cent(ratio)} of its size"
