"""References: what a person would try first on a task, on the splits that its teachers and students have.

Each is computed once and kept in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from threadpoolctl import threadpool_limits

from l2a_gym.distill.device import one_thread
from l2a_gym.experiment.figures import Figures, kept
from l2a_gym.experiment.references.classifier import Classifier, figures_of
from l2a_gym.experiment.references.given import Given
from l2a_gym.plugins import Registry
from l2a_gym.preparation.store import Prepared
from l2a_gym.progress import progress_bar
from l2a_gym.tasks.task import Task

LEARN: Registry[Callable[[Given], Classifier]] = Registry(
    "reference",
    "l2a_gym.references",
    {
        "TF-IDF": "l2a_gym.experiment.references.tfidf:tfidf",
        "static vectors": "l2a_gym.experiment.references.static:static_vectors",
        "frozen vectors, shots": "l2a_gym.experiment.references.frozen:on_shots",
        "frozen vectors, sources + shots": "l2a_gym.experiment.references.frozen:on_sources",
        "frozen vectors, cleaned sources + shots": "l2a_gym.experiment.references.frozen:on_cleaned_sources",
        "frozen vectors, all labels": "l2a_gym.experiment.references.frozen:on_all_labels",
        "SetFit": "l2a_gym.experiment.references.set_fit:set_fit",
    },
)
"""Name -> how that reference learns."""


def references(task: Task, prepared: Prepared) -> dict[str, Figures]:
    """Name -> figures of each reference of a task and its preparation.

    SetFit is among them where its package is installed and texts are single.

    Raises:
        UserError: a package that adds a reference can't be imported, or two have the same name.
    """
    given, figures = Given(task, prepared), {}
    with progress_bar(names_of(task), leave=False) as bar:
        for name in bar:
            bar.set_description(name)
            figures[name] = kept(prepared, name, partial(compute, name, given), LEARN.packages([name]))
    return figures


def names_of(task: Task) -> list[str]:
    """The references that can be computed for a task."""
    set_fit_can = find_spec("setfit") and task.test.pair is None
    return [name for name in LEARN if name != "SetFit" or set_fit_can]


def compute(name: str, given: Given) -> Figures:
    """A reference's figures, on one thread."""
    with one_thread(), threadpool_limits(1):
        return figures_of(LEARN[name](given), given.task)
