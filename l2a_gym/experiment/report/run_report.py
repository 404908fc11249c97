"""What a run's page says, read from the files that the run left in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.chosen import Chosen, chosen
from l2a_gym.experiment.report.reached import facts, reached
from l2a_gym.experiment.rows import Row, read_rows
from l2a_gym.experiment.run import load_run
from l2a_gym.experiment.settings import SHAPING, Run, task_slug
from l2a_gym.experiment.suite import ORACLE, TOY, UNIFORM
from l2a_gym.experiment.summary import Line, lines
from l2a_gym.experiment.verdict import best_rule_of
from l2a_gym.wording import printable

GAINS = {
    "nll": "how far the loss on dev falls",
    "accuracy": "how far dev accuracy rises",
    "macro_f1": "how far macro F1 on dev rises",
}
"""Metric of the reward -> what a return is."""


@dataclass(frozen=True)
class RunReport:
    """A run for people.

    Attributes:
        title: selector and task.
        algo: the selector's name.
        domains: the target, then the sources; none on the toy.
        facts: a few numbers, what -> value.
        reached: sentences on the exported student; empty where none was exported.
        verdict: sentences on whether learning helped.
        curve: units spent on training by then, and the students' mean return; empty where nothing was trained.
        gain: what the return is, in words.
        levels: what else stands beside the curve -> its mean return.
        chosen: what was chosen; None on the toy, whose candidates are no texts.
        lines: of the table of classifiers.
        warnings: of the data report.
        folder: of the run.
        selecting: the command that writes the texts that the selector trusts.
    """

    title: str
    algo: str
    domains: Sequence[str]
    facts: Mapping[str, str]
    reached: str
    verdict: str
    curve: Sequence[tuple[int, float]]
    gain: str
    levels: Mapping[str, float]
    chosen: Chosen | None
    lines: Sequence[Line]
    warnings: Sequence[str]
    folder: str
    selecting: str


def read_run(folder: Path) -> RunReport:
    """The report on a run that has come to its end.

    Raises:
        UserError: it is not a run folder, or a file is missing or can't be read.
    """
    run = load_run(folder)
    summary, rows = _summary(folder), read_rows(folder / "rows.jsonl")
    table = None if run.task == TOY else _candidates(folder)
    return run_report(run, summary, rows, table)


def run_report(run: Run, summary: Mapping[str, Any], rows: Sequence[Row], table: pd.DataFrame | None) -> RunReport:
    """The report on a run.

    Args:
        run: its settings.
        summary: as :func:`~l2a_gym.experiment.train.train` returns it.
        rows: of the baselines and, last, the selector.
        table: of its candidates; None on the toy.
    """
    algo, own = printable(run.algo), rows[-1]
    trained = f"{algo} was not trained: it is a fixed rule."
    return RunReport(
        title=f"{algo} on {printable(task_slug(run.task) if run.task.endswith('.toml') else run.task)}",
        algo=algo,
        domains=[printable(each) for each in summary.get("domains", [])],
        facts={"training": f"{summary['spent']:,} units"} | (facts(summary) if "exported" in summary else {}),
        reached=reached(summary) if "exported" in summary else "",
        verdict=summary["verdict"]["sentence"] if "verdict" in summary else trained,
        curve=[(each.spent, each.episode_return) for each in own.curve] if len(own.curve) > 1 else [],
        gain="an episode's reward" if run.task == TOY else GAINS[run.metric],
        levels=_levels(run, rows),
        chosen=None if table is None else chosen(table, algo),
        lines=lines(run, summary),
        warnings=[printable(each) for each in summary.get("warnings", [])],
        folder=printable(run.folder),
        selecting=printable(" ".join(["l2a select", run.task, f"--algo {run.algo}", *_options(run)])),
    )


def _options(run: Run) -> Iterator[str]:
    """Those of the command line by which ``l2a select`` finds the same choice, without what is usual."""
    usual = Run(algo=run.algo, task=run.task, selector=run.selector)
    for name in (*SHAPING, "budget", "students", "num_envs"):
        if getattr(run, name) != getattr(usual, name):
            yield f"--{name.replace('_', '-')} {getattr(run, name)}"
    yield from (f"--selector.{name} {value}" for name, value in run.selector.items())


def _levels(run: Run, rows: Sequence[Row]) -> dict[str, float]:
    """Mean returns of uniform weights, the best fixed rule and the oracle; the selector itself is none of them."""
    worth = {row.selector: row.episode_return for row in rows if row.selector != run.algo}
    rule = best_rule_of(run.algo, rows)
    named = {UNIFORM: UNIFORM, rule: f"{rule}, the best fixed rule", ORACLE: "oracle, which knows the wrong labels"}
    return {name: worth[selector] for selector, name in named.items() if selector in worth}


def _summary(folder: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfinished(folder, "summary.json", error) from error
    return summary


def _candidates(folder: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(folder / "candidates.parquet")
    except (OSError, ValueError) as error:  # pyarrow's errors are of these classes
        raise _unfinished(folder, "candidates.parquet", error) from error


def _unfinished(folder: Path, name: str, error: Exception) -> UserError:
    return UserError(f"{folder / name} can't be read ({error}): the command that began the run makes it again")
