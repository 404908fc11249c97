"""A run's report as one page that needs nothing else, as Markdown, and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment

from l2a_gym.cache import write_bytes
from l2a_gym.experiment.report import plots
from l2a_gym.experiment.report.page import environment
from l2a_gym.experiment.report.picture import picture
from l2a_gym.experiment.report.run_report import RunReport, read_run
from l2a_gym.wording import plain

NAMES = {"html": "run.html", "markdown": "run.md", "svg": "run.svg"}
"""Format -> file of a run's folder, and template of the first two."""


def write_run_page(folder: Path, form: str = "html") -> Path:
    """Write a finished run's page into its folder: beside its place, and renamed.

    Args:
        folder: of the run.
        form: ``html``, ``markdown`` or ``svg``.

    Raises:
        UserError: it is not the folder of a finished run, has nothing for a picture, or can't be written.
    """
    report, file = read_run(folder), folder / NAMES[form]
    write_bytes(file, (picture(report) if form == "svg" else render(report, form)).encode())
    return file


def render(report: RunReport, form: str) -> str:
    """The page as text: styles and picture are in it, and it asks for nothing."""
    pages = environment() if form == "html" else _markdown()
    curve = plots.training(report.curve, report.levels) if report.curve and form == "html" else None
    return pages.get_template(f"{NAMES[form]}.jinja").render(report=report, picture=curve, dashes=plots.dashes)


def _markdown() -> Environment:
    """Whatever stands in a run means nothing to Markdown."""

    def finalize(value: Any) -> Any:
        return plain(value) if isinstance(value, str) else value

    return environment(autoescape=False, finalize=finalize)
