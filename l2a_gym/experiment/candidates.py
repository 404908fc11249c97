"""What a selector chose: a table of all candidates of a run's task, with their weights and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from l2a_agents.selector import Selector
from numpy.typing import NDArray

from l2a_gym.augment.config import SOURCE, UNLABELLED
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.frames import write_frame
from l2a_gym.experiment.seeds import student_seeds
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.stage import written_once
from l2a_gym.experiment.weighing import weigh
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.task import Task

TEACHERS = ("few-shot", "all-data", "cross-fitted")
DIGITS = 6
"""Decimals of weights, probabilities and agreements, so that every format holds the same numbers."""


def write_candidates(run: Run, adapter: DistillAdapter, selector: Selector, sources: str) -> pd.DataFrame:
    """The table of a run's candidates, which stands in ``candidates.parquet`` of its folder; made unless it does.

    Args:
        run: its last round; ``candidates`` says whether the table is to stand in ``candidates.csv`` as well.
        adapter: of its task.
        selector: as it was trained.
        sources: hash of what the table is made from.
    """
    parquet, text = (run.folder / f"candidates.{kind}" for kind in ("parquet", "csv"))
    wanted = [parquet, *([text] if run.candidates == "csv" else [])]

    def make() -> None:
        table = candidates(run, adapter, selector)
        text.unlink(missing_ok=True)  # of an earlier table
        for file in wanted:
            write_frame(file, table)

    written_once(wanted, run.folder / "candidates.json", sources, make)
    return pd.read_parquet(parquet)


def candidates(run: Run, adapter: DistillAdapter, selector: Selector) -> pd.DataFrame:
    """A row for each candidate that can be shown, in the order of the pool; ``docs/selectors.md`` has the columns."""
    prepared, weighed = adapter.prepared, weigh(adapter, selector, student_seeds(run.task, run.students, run.seed))
    rows, manifest = np.flatnonzero(prepared.array("signals/usable")), prepared.manifest()
    texts = prepared.texts(rows)
    domain, operator = (prepared.array(f"signals/{name}")[rows] for name in ("domain", "operator"))
    origin, parent = places(adapter.task, prepared)
    table = {
        "row": rows,
        "origin": origin[rows],
        "parent": parent[rows],
        "text": texts.text,
        **({} if texts.pair is None else {"pair": texts.pair}),
        "label": np.array(manifest["labels"])[texts.label],
        "domain": np.array(manifest["domains"])[domain],
        "operator": np.array(manifest["operators"])[operator],
        **dict(_of_teachers(prepared, rows, texts.label)),
        "agreement": weighed.agreement[rows].round(DIGITS),
        "times_shown": weighed.shown[rows],
        "weight": weighed.weight[rows].round(DIGITS),
        "kept": weighed.weight[rows] > 0,
    }
    return pd.DataFrame(table | ({"wrong": adapter.wrong()[rows]} if adapter.has_noise() else {}))


def _of_teachers(
    prepared: Prepared, rows: NDArray[np.int64], label: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Each teacher's probability of the given label, and the label that it finds likeliest."""
    names = np.array(prepared.manifest()["labels"])
    for teacher in TEACHERS:
        probability = prepared.logits(teacher, prepared.rows["pool"]).double().softmax(1).numpy()[rows]
        column = teacher.replace("-", "_")
        yield f"{column}_probability", probability[np.arange(len(rows)), label].round(DIGITS)
        yield f"{column}_prediction", names[probability.argmax(1)]


def places(task: Task, prepared: Prepared) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Where each candidate (n,) stands in the data, None where an operator made it; and where its parent does."""
    pool, operators = prepared.pool(), prepared.manifest()["operators"]
    texts = [task.train, *task.sources.values(), task.unlabelled]
    place = [np.array(each.origin or [None] * len(each), dtype=object) for each in texts]
    origin, parent = np.full((2, len(pool)), None, dtype=object)
    columns = (np.array(pool[name][:]) for name in ("domain", "operator", "parent"))
    for row, (domain, operator, start) in enumerate(zip(*columns, strict=True)):
        name = operators[operator]
        as_it_is = name in (SOURCE, UNLABELLED)
        (origin if as_it_is else parent)[row] = place[-1 if name == UNLABELLED else domain][start]
    return origin, parent
