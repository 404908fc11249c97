"""A run's folder and its selector: what may be written, what is there, and whether it is whole."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from l2a_agents.selector import Selector

from l2a_gym.cache import check_replaceable, damaged
from l2a_gym.checked import digest_of
from l2a_gym.errors import UserError, unknown
from l2a_gym.experiment.adapter import TaskAdapter
from l2a_gym.experiment.selectors import load_class
from l2a_gym.experiment.settings import SHAPING, Run

PROGRESS = "progress.json"
"""The file beside a selector's own that says what its training spent."""
FOLDERS = ("selector", "student", "pool")
"""What a run writes as a whole, and replaces."""
FILES = (
    *FOLDERS,
    *("versions.json", "record.jsonl", "tensorboard", "rows.jsonl", "comparison.json", "exported.json", "policy.json"),
    *("candidates.parquet", "candidates.csv", "candidates.json"),
    *("summary.json", "evaluation.json", "run.html", "run.md", "snapshots", "round-1"),
)
"""What a run leaves in its folder besides its config.json."""


def load_run(folder: Path) -> Run:
    """The run whose folder this is.

    Raises:
        UserError: it is not a run folder.
    """
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Run(**settings | {"out": folder})
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder} is not a run folder: its config.json can't be read ({error})") from error


def check_same_run(run: Run) -> None:
    """Refuse a folder that holds another run, or files of the user's where the run's are going to lie.

    A larger budget, and other ways to evaluate, are the same run.

    Raises:
        UserError: names the first setting that differs, or the user's file.
    """
    if (run.folder / "config.json").exists():
        earlier = load_run(run.folder).as_dict()
        for name, value in run.as_dict().items():
            if name in SHAPING and earlier[name] != value:
                found = f"{name} = {earlier[name]!r}"
                raise UserError(f"{run.folder} holds a run with {found}: give another folder with --out")
    elif found := next((name for name in FILES if (run.folder / name).exists()), ""):
        raise UserError(f"{run.folder} holds {found}, and no config.json of a run: give another folder with --out")
    for name in FOLDERS:
        check_replaceable(run.folder / name)


def selector_key(run: Run) -> str:
    """Of what run a trained selector is, wherever the run's folder lies."""
    settings = run.as_dict()
    return digest_of({name: settings[name] for name in SHAPING} | {"pool": Path(run.pool).name})


def load_selector(run: Run, adapter: TaskAdapter) -> Selector:
    """The trained selector of a run.

    Raises:
        UserError: there is none, it is damaged, or its training has not come to its end.
    """
    folder = run.folder / "selector"
    if not folder.is_dir():
        raise UserError(f"{run.folder} holds no trained selector: train it with l2a train")
    if lost := damaged(folder, selector_key(run)):
        raise UserError(f"{folder} is damaged ({', '.join(lost)}): the command that began the run trains it anew")
    progress = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    if not progress["finished"]:
        raise UserError(
            f"the training in {run.folder} stopped after {progress['spent']} of {run.budget} units: "
            "finish it with the command that began it"
        )
    selector = new_selector(run, adapter)
    selector.load(folder)
    return selector


def new_selector(run: Run, adapter: TaskAdapter) -> Selector:
    """An untrained selector of a run, with the run's hyper-parameters.

    Raises:
        UserError: there is none of this name, no hyper-parameter of a name, or a value that l2a_agents refuses.
    """
    kind = load_class(run.algo)
    config = getattr(kind, "config_class", None)
    valid = [field.name for field in fields(config)] if config else []
    for name in run.selector:
        if name not in valid:
            raise unknown(f"hyper-parameter of {run.algo}", name, valid)
    try:
        return adapter.selector(run.algo, **run.selector)
    except ValueError as error:
        if kind.__module__.startswith("l2a_agents."):
            raise UserError(str(error)) from error
        raise
