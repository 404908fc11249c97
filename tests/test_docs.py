"""What the site's own strict build doesn't check: links of the files beside docs/, and the notebook."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebooks" / "first_steps.ipynb"
RUN = """
import contextlib, io, os
import torch

os.environ["L2A_CACHE"] = cache
torch.set_num_threads(1)
with contextlib.redirect_stdout(io.StringIO()) as printed:
    names = {}
    for cell in cells:
        exec(cell, names)
pipe.send(printed.getvalue())
"""


def cells(kind: str) -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_the_notebook_runs(small: dict[str, Any], begin: Callable[..., Any]) -> None:
    """With other parameters: a small checkpoint, and two students for each rule."""
    given = f"CHECKPOINT, STUDENTS = {small['checkpoint']!r}, 2"
    code = [
        given if "parameters" in cell["metadata"].get("tags", []) else "".join(cell["source"]) for cell in cells("code")
    ]
    assert code.count(given) == 1
    _, pipe = begin(RUN, cells=code, cache=os.environ["L2A_CACHE"])
    printed = pipe.recv()
    toy = dict(re.findall(r"(.+): (-?\d\.\d+) of", printed))
    assert float(toy["after training"]) > 2 * float(toy["all candidates alike"])
    accuracy = {name: float(value) for name, value in re.findall(r"^(\S+) +dev accuracy (\d\.\d+) ±", printed, re.M)}
    assert [*accuracy] == ["uniform", "all-data-agrees", "oracle"]
    assert all(0.3 < each < 1 for each in accuracy.values())
    assert len(re.findall(r"^(keeps|drops) (wrong|right) (negative|positive) +the ", printed, re.M)) == 12


def test_the_notebook_is_kept_without_outputs() -> None:
    assert {(cell["execution_count"], len(cell["outputs"])) for cell in cells("code")} == {(None, 0)}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", NOTEBOOK.relative_to(ROOT)])
def test_links_lead_somewhere(name: str | Path) -> None:
    file = ROOT / name
    text = file.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text)
    missing = [path for path, _ in links if not (file.parent / path).exists()]
    anchors = [(file.parent / path if path else file, anchor) for path, anchor in links if anchor]
    assert missing == []
    assert [(page.name, anchor) for page, anchor in anchors if anchor not in headings(page)] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_paragraphs_within_lists_are_indented_by_four(page: Path) -> None:
    """Less is enough for GitHub, but ends the list on the site; and no item follows such a paragraph at once."""
    lines = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    assert re.findall(r"\n\n {1,3}\S.*", lines) == []
    assert re.findall(r"\n\n {4,7}[^ \n-].*(?:\n {4}.*)*\n\d+\. .*", lines) == []


def headings(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
