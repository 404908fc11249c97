"""A run's page in a real browser and as Markdown: one made up of hostile names and texts, and one of a real run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.picture import TEXTS, ends, picture
from l2a_gym.experiment.report.run_page import render, write_run_page
from l2a_gym.experiment.report.run_report import RunReport, run_report
from l2a_gym.experiment.rows import Checkpoint, Row
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.suite import UNIFORM
from l2a_gym.experiment.train import train
from l2a_gym.experiment.verdict import verdict

HOSTILE = "<img src=x onerror=alert(1)>|**no** `[x](javascript:alert(2))`\u202e"
LONG = "my_package.my_module:ASelectorOfALongName"
HEADINGS = [
    *("What was found", "While it was trained", "The rule in words", "Suspected wrong labels", "Texts by weight"),
    *("Before and after", "Teachers, references and students", "Warnings of the data report", "What next"),
]


def made_up_table() -> pd.DataFrame:
    rng, n = np.random.default_rng(0), 400
    texts = ["what a long text " * rng.integers(1, 40) for _ in range(n)]
    texts[:3] = [HOSTILE, "x" * 500, "日本語の長い文章" * 40]
    wrong, weight = rng.random(n) < 0.4, rng.random(n)
    believed = np.where(wrong, 0.1, 0.9) * rng.random(n)
    label, teachers = np.where(rng.random(n) < 0.5, HOSTILE, "good"), ("few_shot", "all_data", "cross_fitted")
    columns = {
        **{"origin": [f"{HOSTILE}/a-file-of-a-long-name.csv line {i}" for i in range(n)], "parent": None},
        **{"text": texts, "label": label, "operator": "source", "agreement": believed, "times_shown": 1},
        **{"domain": rng.choice(["films", "a-domain-of-a-very-long-name"], n), "wrong": wrong},
        **{f"{name}_probability": believed for name in teachers},
        **{f"{name}_prediction": np.where(wrong, "rather this", label) for name in teachers},
        **{"weight": np.where(wrong, 0, weight), "kept": ~wrong},
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def report(make_rows: Callable[..., list[Row]]) -> RunReport:
    run = Run(algo=LONG, task="hutto/nyt-64-noise40", out=Path(f"runs/{HOSTILE}"))
    levels = {"none": 0.5, "uniform": 0.6, "all-data-agrees": 0.65, "oracle": 0.7, LONG: 0.62}
    rows = [row for name, level in levels.items() for row in make_rows(name, {run.task: [level]})]
    rows = [replace(row, students=tuple(replace(s, episode_return=row.score) for s in row.students)) for row in rows]
    rows[-1] = replace(rows[-1], curve=tuple(Checkpoint(n, 0.5 + n / 2e4) for n in (1250, 2500, 5000)))
    figures = {
        **{"dev_accuracy": 0.8, "test_accuracy": 0.79, "labels": 576, "parameters": 22_713_986},
        "texts_per_second": 12345.6,
    }
    file = {"megabytes": 3.36, "texts_per_second": 2345.6, "test_accuracy": 0.79, "same_labels": 0.9971}
    accuracy = {name: {"mean": level, "per_seed": [level]} for name, level in levels.items() if name != LONG}
    accuracy["selector"] = {"mean": 0.62, "per_seed": [0.62]}
    summary = {
        **{"dev_accuracy": accuracy, "test_accuracy": accuracy, "domains": ["films", HOSTILE]},
        **{"texts": {"train": 64, "dev": 512, "select": 256, "test": 1500}, "updates": 30},
        "labels": dict.fromkeys(accuracy, 576),
        **{
            "parameters": {"teacher": 22_713_986, "student": 3_000_000},
            "spent": 5000,
            "teachers": {"few-shot": {**figures, "dev_accuracy": 0.7}, "mean": {**figures, "test_accuracy": 0.81}},
        },
        **{
            "references": {
                "TF-IDF": {**figures, "dev_accuracy": 0.6, "test_accuracy": 0.5, "parameters": 600_000},
                "frozen vectors, cleaned sources + shots": figures,
            },
            "warnings": [HOSTILE],
        },
        **{
            "exported": {
                **{**figures, "parameters": 3_000_000, "labels": 832, "updates": 300, "teacher": "mean"},
                "formats": {"onnx/model.onnx": file},
                "long": {n: figures | {"test_accuracy": level} for n, level in ((LONG, 0.761), (UNIFORM, 0.759))},
            },
            "verdict": verdict(LONG, rows),
        },
    }
    return run_report(run, summary, rows, made_up_table())


def test_the_command_that_makes_the_same_choice_has_what_differs(make_rows: Callable[..., list[Row]]) -> None:
    rows = [row for name in (UNIFORM, "pgpe") for row in make_rows(name, {"toy": [0.5]})]
    usual, summary = Run(algo="pgpe", task="toy"), {"spent": 7, "test_accuracy": {}}
    changed = replace(usual, seed=3, budget=77, metric="accuracy", selector={"sigma": 0.5})
    assert run_report(usual, summary, rows, None).selecting == "l2a select toy --algo pgpe"
    said = "l2a select toy --algo pgpe --seed 3 --metric accuracy --budget 77 --selector.sigma 0.5"
    assert run_report(changed, summary, rows, None).selecting == said


@pytest.fixture
def page(open_page: Callable[[Path], Any], report: RunReport, tmp_path: Path) -> Any:
    file = tmp_path / "run.html"
    file.write_text(render(report, "html"), encoding="utf-8")
    return open_page(file)


def test_the_page_has_all_parts_and_shows_texts_as_they_are(page: Any) -> None:
    page.wait_for_load_state("networkidle")
    assert [each for each in page.said if not each.startswith("file:")] == []
    assert page.locator("h2").all_inner_texts() == HEADINGS
    assert page.locator("img").count() == 0
    assert page.locator("#warnings + ul li").inner_text() == HOSTILE.replace("\u202e", "\\u202e")
    assert (
        page.locator(".plot svg[role=img]")
        .get_attribute("aria-label")
        .startswith("Gain on dev by units of training: at the")
    )
    legend = [each.replace("\n", " ") for each in page.locator(".legend li").all_inner_texts()]
    assert legend == [
        f"{LONG}, at the end 0.750",
        *("uniform 0.600", "all-data-agrees, the best fixed rule 0.650", "oracle, which knows the wrong labels 0.700"),
    ]
    assert page.locator("details.group").count() == 4  # two domains of two classes
    assert page.locator("section:has(#suspects) li").count() == 50
    assert page.locator("section:has(#suspects) li:visible").count() == 10
    assert page.locator("details.group").first.locator("li:visible").count() == 2 * 5
    assert "50 of these 50 labels are known to be wrong" in page.locator("#suspects + p").inner_text()
    last = page.locator("section:has(#classifiers) tbody tr").last.locator("th, td").all_inner_texts()
    assert last == ["exported student", "80.0 ± 1.8", "79.0 ± 1.1", "832", "3.0\N{NO-BREAK SPACE}M", "12.0", "12,346"]
    assert page.locator(".kind").all_inner_texts() == [
        *("teachers", "references", "students under fixed rules", "this run"),
    ]
    own = [f"selector ({LONG})", f"long schedule, {LONG}", "long schedule, uniform", "exported student"]
    assert page.locator("tr.own th").all_inner_texts() == own


def test_the_student_stands_beside_the_best_of_the_others(report: RunReport) -> None:
    assert report.reached.replace("\N{NO-BREAK SPACE}", " ") == (
        "The exported student is right on 79.0 ± 1.1 % of the 1,500 test texts, with the standard error. Beside it: "
        "81.0 ± 1.0 % for the teacher that is best on dev (mean; 7.6 times its size), 79.0 ± 1.1 % for the reference "
        "that is best on dev (frozen vectors, cleaned sources + shots; 7.6 times its size), 50.0 ± 1.3 % for TF-IDF "
        "(20 % of its size). Unlike the short students that measure the selector, it takes 300 updates in place of 30, "
        "and learns from all labels of the target and from the mean teacher, chosen by select. With the shots in "
        f"place of all labels, such students reach 76.1 % with weights by {LONG} and 75.9 % with weights by uniform."
    )
    assert report.facts["labels of the target read: 64 shots, 512 dev, 256 select"] == "832"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_and_all_can_be_read(page: Any, outside: str, contrast: str, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.eval_on_selector_all(".box", "(all) => all.map((e) => [e.scrollWidth, e.clientWidth])")
    assert len(boxes) == 4
    assert all(inner <= outer for inner, outer in boxes), boxes
    assert page.evaluate(outside) == []
    assert min(page.evaluate(contrast))[0] >= 4.5
    assert [each for each in page.said if not each.startswith("file:")] == []


def test_markdown_says_the_same(report: RunReport) -> None:
    text = render(report, "markdown")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    assert r"- \<img src=x onerror=alert(1)\>\|\*\*no\*\* \`\[x\](javascript:alert(2))\`" in text
    assert "<img" not in text.replace(r"\<img", "")
    tables = [[line for line in part.splitlines() if line.startswith("|")] for part in text.split("\n\n")]
    for lines in filter(None, tables):
        assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1, lines
    assert "| exported student | 80.0 | 79.0 ± 1.1 | 832 | 3.0 M | 12.0 | 12,346 |" in text
    assert "- onnx/model.onnx: 3.4 MB, 2,346 texts/s, test accuracy 79.0 %, 99.71 % same labels\n" in text


# A real run


def test_a_run_ends_with_its_page(
    whole_run: Run,
    whole_summary: dict[str, Any],
    open_page: Callable[[Path], Any],
    l2a: Callable[..., Any],
    tmp_path: Path,
) -> None:
    file = whole_run.folder / "run.html"
    opened = open_page(file)
    assert opened.locator("h2").all_inner_texts() == HEADINGS
    assert opened.locator(".lead").first.inner_text() == whole_summary["verdict"]["sentence"]
    table = pd.read_parquet(whole_run.folder / "candidates.parquet")
    assert f"{len(table)} texts " in opened.locator(".lead").nth(1).inner_text()
    kept = table.groupby("domain")["kept"].sum()
    rows = opened.locator("section:has(#shares) table").first.locator("tbody tr").all()
    target = f"{whole_summary['domains'][0]} (target)"
    assert target in [row.locator("th").inner_text() for row in rows]
    assert {
        row.locator("th").inner_text().removesuffix(" (target)"): int(row.locator("td").nth(1).inner_text())
        for row in rows
    } == dict(kept)
    before = file.read_bytes()
    file.unlink()
    assert l2a("report", str(whole_run.folder)) == (None, f"{file}\n", "")
    assert file.read_bytes() == before
    markdown = l2a("report", str(whole_run.folder), "--format", "markdown")
    assert markdown == (None, f"{file.with_suffix('.md')}\n", "")
    copy = shutil.copytree(whole_run.folder, tmp_path / "copy")
    (copy / "candidates.parquet").write_bytes(b"no table")
    with pytest.raises(
        UserError, match=r"candidates.parquet can't be read .*: the command that began the run makes it"
    ):
        write_run_page(copy)


def test_the_toy_and_fixed_rules_have_what_there_is(open_page: Callable[[Path], Any], tmp_path: Path) -> None:
    run = Run(algo="uniform", task="toy", students=2, out=tmp_path / "toy")
    train(run)
    opened = open_page(tmp_path / "toy" / "run.html")
    assert opened.locator("h2").all_inner_texts() == [HEADINGS[0], *HEADINGS[-3:]]
    assert opened.locator(".lead").inner_text() == "uniform was not trained: it is a fixed rule."
    assert json.loads((tmp_path / "toy" / "summary.json").read_text())["spent"] == 0


# The picture


def test_the_picture_has_the_ends_of_the_choice(report: RunReport) -> None:
    assert report.chosen is not None
    most, least = ([text.weight for _, text in shown] for shown in ends(report.chosen.groups))
    assert len(most) == len(least) == TEXTS
    assert most == sorted((group.highest[0].weight for group in report.chosen.groups), reverse=True)[:TEXTS]
    assert least == sorted(group.lowest[0].weight for group in report.chosen.groups)[:TEXTS]


def test_the_picture_is_well_formed_and_runs_nothing(report: RunReport) -> None:
    root = ElementTree.fromstring(picture(report))
    assert root.tag.endswith("svg")
    assert {each.tag.rpartition("}")[2] for each in root.iter()}.isdisjoint({"script", "image", "foreignObject"})
    drawn = "".join(root.itertext())
    for name in ("uniform", "all-data-agrees, the best fixed rule", "2,500", "trusted least"):
        assert name in drawn


def test_no_picture_without_a_training(report: RunReport) -> None:
    with pytest.raises(UserError, match="a picture needs a selector that was trained, and texts: valid is html"):
        picture(replace(report, curve=[]))
