"""Classes that a task file does not name: found in the data, where a slip of the pen looks like one more."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from l2a_gym.errors import UserError
from l2a_gym.tasks.normal import normal_form
from l2a_gym.tasks.splits import PARTS

LEAST = len(PARTS)
"""Target texts that make a label a class: one for each part that the target is split into."""
ALIKE, RARE = 0.85, 10
"""A label that is at least so like another (ratio of ``difflib``) is a slip where it is more than so many times rarer.

Labels that differ in digits alone are never taken for slips."""
LISTED = 12
"""At most this many labels are listed, the rarest first."""


def check_found(where: str, target: Sequence[str], labels: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Refuse labels that are hardly classes, in a task file that does not say which classes there are.

    Args:
        where: the task file.
        target: the target domain's name, and those of its parts that have files of their own.
        labels: domain or part -> the place and the label of each of its rows.

    Raises:
        UserError: names the rarest such label, where it stands first, the nearest other one, all labels with their
            counts, and the way out.
    """
    every = Counter(label for rows in labels.values() for _, label in rows)
    here = Counter(label for name in target for _, label in labels[name])
    rarest = sorted(every, key=lambda label: (here[label], every[label], label))
    for label in rarest:
        others = [name for name in every if name != label]
        if doubt := _doubt(label, others, here, target[0]):
            place = next(place for rows in labels.values() for place, name in rows if name == label)
            near = difflib.get_close_matches(label, others, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            counts = ", ".join(f"{name!r} {every[name]} ({here[name]})" for name in rarest[:LISTED])
            more = f" and {len(rarest) - LISTED} others" if len(rarest) > LISTED else ""
            raise UserError(
                f"{where}: the label {label!r} at {place} is hardly a class, because {doubt}: {hint}texts by label "
                f"(and in {target[0]}) are {counts}{more}: mend the data, or name the classes with labels = [...]"
            )


def _doubt(label: str, others: Sequence[str], here: Mapping[str, int], target: str) -> str | None:
    """Why a label may be no class; None where all is well."""
    for twin in (name for name in others if normal_form(name) == normal_form(label)):
        return f"it differs from {twin!r} in case, accents or spacing alone"
    if here[label] < LEAST:
        return f"a class needs at least {LEAST} texts of {target}, and it has {here[label]}"
    for like in difflib.get_close_matches(label, others, n=1, cutoff=ALIKE):
        numbered = re.sub(r"\d", "", like) == re.sub(r"\d", "", label)
        if not numbered and RARE * here[label] < here[like]:
            return f"it has {here[label]} texts of {target} where {like!r} has {here[like]}"
    return None
