"""What a classifier is worth and what it costs: the line that teachers, references and students have in a table."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

from l2a_gym.cache import cache_dir, locked
from l2a_gym.checked import digest_of, read_json, write_json
from l2a_gym.distill.device import one_thread
from l2a_gym.errors import UserError
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.task import Texts

log = logging.getLogger(__name__)

FIGURES = "1"
"""Changes whenever the same preparation gives other figures."""
TIMED = 128
"""Texts, at most, by which speed is measured."""
TURNS = 5
"""How often each of several classifiers is timed."""


@dataclass(frozen=True)
class Figures:
    """A classifier's figures on a task.

    Attributes:
        dev_accuracy: share of dev's texts that it classifies as they are labelled; where it has learnt from them, by
            parts that have not.
        test_accuracy: the same of test's.
        labels: labelled texts of the target that it was made with, those that chose its settings included.
        parameters: stored numbers that it classifies with.
        texts_per_second: from text to class, on one thread.
    """

    dev_accuracy: float
    test_accuracy: float
    labels: int
    parameters: int
    texts_per_second: float

    @property
    def megabytes(self) -> float:
        """Size of the parameters in float32."""
        return 4 * self.parameters / 1e6


@one_thread()
def texts_per_second(classify: Callable[[Texts], object], texts: Texts) -> float:
    """How many texts are classified in a second, by at most :data:`TIMED` of these."""
    timed = texts.take(range(min(len(texts), TIMED)))
    start = time.perf_counter()
    classify(timed)
    return len(timed) / (time.perf_counter() - start)


def speeds(classifiers: Mapping[str, Callable[[Texts], object]], texts: Texts) -> dict[str, float]:
    """Name -> texts that each classifies in a second: the median of :data:`TURNS`, as they take turns."""
    turns = [{name: texts_per_second(each, texts) for name, each in classifiers.items()} for _ in range(TURNS)]
    return {name: median(turn[name] for turn in turns) for name in classifiers}


def kept(prepared: Prepared, name: str, compute: Callable[[], Figures], packages: Mapping[str, str] = {}) -> Figures:
    """Figures in the cache; computed where they are missing or damaged, and written if that is possible.

    Args:
        prepared: what they are of; other files have figures of their own.
        name: of the classifier.
        compute: its figures.
        packages: those of others that compute them, with their versions.
    """
    manifest = prepared.manifest()
    made_of = [FIGURES, manifest["stages"], manifest["files"], *packages.items()]
    file = cache_dir() / "figures" / digest_of(made_of)[:16] / f"{name}.json"
    with locked(file):
        if values := read_json(file):
            return Figures(**values)
        if file.exists():
            log.warning("%s is damaged: computing it again", file)
        figures = compute()
        try:
            write_json(file, asdict(figures))
        except UserError as error:
            log.warning("%s", error)
        return figures
