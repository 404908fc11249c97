"""The report as files: the same numbers as the entries, one page that needs nothing else, plain text from users."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from l2a_gym.errors import UserError
from l2a_gym.experiment.report.explained import CLASSIFIERS
from l2a_gym.experiment.report.leaderboard import leaderboard
from l2a_gym.experiment.report.markdown import MARK, as_markdown
from l2a_gym.experiment.report.page import as_html, write_report
from l2a_gym.experiment.report.report import read_report, report_on
from l2a_gym.experiment.report.terminal import as_text
from l2a_gym.experiment.report.wording import between
from l2a_gym.experiment.rows import ClassifierFigures, Example, Failure, Row

SCRIPT = Path(__file__).parents[3] / "scripts" / "report.py"
HOSTILE = "<script>alert(1)</script>|`x`&amp;"


@pytest.fixture
def rows(make_rows: Callable[..., list[Row]]) -> list[Row]:
    found = make_rows("none", {"a/1": [0.5, 0.52], "b/2": [0.6, 0.6]})
    found += make_rows("uniform", {"a/1": [0.6, 0.61], "b/2": [0.7, 0.69]})
    found += make_rows("random-search", {"a/1": [0.7, 0.65], "b/2": [0.71, 0.73]}, learns=True)
    examples = (Example(HOSTILE, HOSTILE, HOSTILE, wrong=True, weight=0.25),)
    hostile = make_rows(HOSTILE, {"a/1": [0.72, 0.74], "b/2": [0.75]}, learns=True, examples=examples)
    return found + hostile


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markdown_and_page_have_the_numbers_of_the_leaderboard(rows: list[Row], tmp_path: Path) -> None:
    html, markdown, _ = write_report(report_on(rows, title="core"), tmp_path / "new")
    found, text = leaderboard(rows), markdown.read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    page = Page(html.read_text(encoding="utf-8")).text
    assert ["selector", "", "vs. uniform", "p", "vs. random-search", "p", "seeds"] in cells
    for each in found.entries:
        shown = [between(each.over[r].mean) if r in each.over else "" for r in ("uniform", "random-search")]
        assert any(row[2::2] == [*shown, str(len(each.seeds))] for row in cells if len(row) == 7)
        assert all(gain in page for gain in shown)
    assert ["uniform", "60.5", "69.5"] in cells
    assert ["random-search", "67.5 (+7.0 ± 38.1)", "72.0 (+2.5 ± 19.1)"] in cells
    assert ["all-data teacher", "90.0", "90.0"] in cells
    assert "75.0 (+5.0) |" in text  # one seed
    for verdict in found.verdicts:
        assert verdict.text in page
        assert re.sub(r"\\(.)", r"\1", text).count(verdict.text) == 1


def test_shares_on_wrong_labels_are_drawn_beside_those_of_all_candidates(
    make_rows: Callable[..., list[Row]], tmp_path: Path
) -> None:
    rows = make_rows("uniform", {"a": [0.6, 0.6]}, wrong_share=[0.5, 0.4])
    rows += make_rows("mine", {"a": [0.7, 0.7]}, wrong_share=[0.4, 0.125])
    rows += make_rows("uniform", {"b": [0.6, 0.6]}) + make_rows("mine", {"b": [0.7, 0.7]})
    rows += make_rows("none", {"a": [0.5]}, wrong_share=[0, 0], domain_share={"books": [0.0, 0.0]})
    html, markdown, _ = write_report(report_on(rows), tmp_path)
    section = (
        html.read_text(encoding="utf-8").partition('<section aria-labelledby="wrong">')[2].partition("<section")[0]
    )
    labels = re.findall(r'aria-label="([^"]*)"', section)
    assert labels == [
        f"{name} on a: {share} % of all weight on wrong labels by the end of the episode"
        for name, share in (("mine", 12), ("uniform", 40))
    ]
    assert re.findall(r'points="([^"]*)"', section)[:2] == ["0,100 0,60 100,88 100,100", "0,50 100,60"]
    table = markdown.read_text(encoding="utf-8").partition("## Weight on wrong labels")[2].partition("\n## ")[0]
    assert table.endswith("| selector | a |\n| --- | ---: |\n| mine | 12.5 |\n| uniform | 40.0 |\n| none |  |\n")


def test_example_texts_are_shown_with_their_weights(rows: list[Row], tmp_path: Path) -> None:
    html, _, _ = write_report(report_on(rows), tmp_path)
    section = html.read_text(encoding="utf-8").partition('<section aria-labelledby="examples">')[2]
    items = re.findall(r"<li>(.*?)</li>", section.partition("</section>")[0])
    assert [Page(item).text for item in items] == [f"0.25{HOSTILE}{HOSTILE}, labelled {HOSTILE}, which is wrong"] * 2
    assert "<script>" not in "".join(items)


def test_the_picture_is_a_file_of_1280_pixels_width(rows: list[Row], tmp_path: Path) -> None:
    *_, picture = write_report(report_on(rows), tmp_path)
    assert picture.name == "report.png"
    with Image.open(picture) as opened:
        assert (opened.format, opened.width) == ("PNG", 1280)
        assert len(opened.convert("RGB").getcolors(2**24)) > 50


def test_each_task_has_a_table_of_its_teachers_and_references(rows: list[Row], tmp_path: Path) -> None:
    found = {
        "few-shot teacher": ClassifierFigures(0.9, 400, 112, 11_170_562),  # its standard error is 0.3 / 20
        "TF-IDF": ClassifierFigures(0.5, 100, 64, 900),
    }
    rows = [replace(row, classifiers=found) if row.task == "b/2" else row for row in rows]
    rows[-1] = replace(rows[-1], classifiers={"TF-IDF": replace(found["TF-IDF"], parameters=1900)})
    html, markdown, _ = write_report(report_on(rows), tmp_path)
    text = markdown.read_text(encoding="utf-8")
    section = text.partition("\n## Teachers and references\n\n")[2].partition("\n\n## ")[0]
    assert section == "\n".join(
        [
            *(CLASSIFIERS, "", "### b/2", ""),
            "| name | labels | parameters | test accuracy |",
            "| --- | ---: | ---: | ---: |",
            "| few-shot teacher | 112 | 11,170,562 | 90.0 ± 1.5 |",
            "| TF-IDF | 64 | 900 or 1,900 | 50.0 ± 5.0 |",
        ]
    )
    page = html.read_text(encoding="utf-8")
    table = page.partition('<table class="classifiers">')[2].partition("</table>")[0]
    cells = re.findall(r"<t[hd] [^>]*>(.*?)</t[hd]>", table.partition("<tbody>")[2])
    assert [Page(cell).text for cell in cells] == [
        *("few-shot teacher", "112", "11,170,562", "90.0 ± 1.5"),
        *("TF-IDF", "64", "900 or 1,900", "50.0 ± 5.0"),
    ]
    assert page.count('<table class="classifiers">') == page.count(CLASSIFIERS.replace("'", "&#39;")) == 1


def test_rows_without_classifiers_show_no_table_of_them(rows: list[Row], tmp_path: Path) -> None:
    for file in write_report(report_on(rows), tmp_path)[:2]:
        assert "Teachers and references" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("suite", ["core", "questions", "questions-800"])
def test_the_published_report_is_that_of_its_rows(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SCRIPT.parents[1])
    folder = Path("docs/benchmark", suite)
    report = read_report([folder / "rows.jsonl"], folder)
    assert as_markdown(report) == (folder / "report.md").read_text(encoding="utf-8")
    assert as_html(report) == (folder / "report.html").read_text(encoding="utf-8")


def test_what_is_missing_or_failed_is_shown(rows: list[Row], tmp_path: Path) -> None:
    failures = [
        Failure("b/2", HOSTILE, 1, "Traceback\n  File\nRuntimeError: no memory\n"),
        Failure("a/1", "uniform", 0, "was done later"),
        Failure("c/3", "uniform", 0, "no such data"),
    ]
    html, markdown, _ = write_report(report_on(rows, failures), tmp_path)
    for file in (html, markdown):
        text = Page(file.read_text(encoding="utf-8")).text
        assert "on b/2, seed 1: RuntimeError: no memory" in text
        assert "uniform on c/3, seed 0: no such data" in text
        assert "was done later" not in text
    assert "\n| uniform | 2 \N{BALLOT X}1 | \N{BLACK CIRCLE} |\n" in markdown.read_text(encoding="utf-8")
    tags = Page(html.read_text(encoding="utf-8")).tags
    titles = [attributes["title"] for tag, attributes in tags if tag == "td" and "title" in attributes]
    assert sorted({*titles}) == ["complete", "failed: b/2", "failed: c/3"]


def test_the_page_asks_for_nothing(rows: list[Row], tmp_path: Path) -> None:
    html, markdown, picture = write_report(report_on(rows), tmp_path)
    assert sorted(tmp_path.iterdir()) == [html, markdown, picture]
    text = html.read_text(encoding="utf-8")
    for tag, attributes in Page(text).tags:
        for name in ("src", "srcset", "href", "xlink:href", "data", "action", "poster", "background"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,")), (tag, attributes)
    assert not re.findall(r"url\((?!#)|@import", text)
    assert [attributes["content"] for _, attributes in Page(text).tags if "http-equiv" in attributes] == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ]


def test_names_are_text_and_nothing_else(rows: list[Row], tmp_path: Path) -> None:
    html, markdown, _ = write_report(report_on(rows, title=HOSTILE, commands={"repeat": HOSTILE}), tmp_path)
    page = Page(html.read_text(encoding="utf-8"))
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    labels = [attributes.get("aria-label") or "" for tag, attributes in page.tags if tag == "svg"]
    assert sum(HOSTILE in label for label in labels) >= 4
    text = markdown.read_text(encoding="utf-8").replace(MARK, "")
    assert not re.findall(r"(?<!\\)<", re.sub(r"`` .* ``", "", text))
    heads = [line for line in text.splitlines() if line.startswith("| ")]
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in heads}
    assert columns == {8, 4}  # a table's lines all have the same number of cells: 7 and 3


def test_the_same_rows_give_the_same_bytes(rows: list[Row], tmp_path: Path) -> None:
    first, second = (write_report(report_on(rows), tmp_path / name) for name in ("one", "two"))
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_a_large_report_is_small(make_rows: Callable[..., list[Row]], tmp_path: Path) -> None:
    tasks = {f"hutto/domain-{i}-64": [0.5, 0.55] for i in range(8)}
    operators = {name: [1 / 6] * 10 for name in ("source", "swap", "delete", "insert", "replace", "mix")}
    rows = make_rows("uniform", tasks)
    for i in range(14):
        scores = {task: [0.6 + i / 100, 0.62 + i / 100] for task in tasks}
        rows += make_rows(f"selector-{i}", scores, learns=i % 3 == 0, operator_share=operators)
    html, *_ = write_report(report_on(rows), tmp_path)
    assert html.stat().st_size < 1_000_000


def test_rows_that_cannot_be_compared(rows: list[Row]) -> None:
    with pytest.raises(UserError, match="it has no rows of uniform"):
        report_on([row for row in rows if row.selector != "uniform"])


def write_rows(rows: list[Row], folder: Path) -> Path:
    folder.mkdir()
    file = folder / "rows.jsonl"
    file.write_text("".join(f"{row.as_json()}\n" for row in rows), encoding="utf-8")
    return file


def test_files_bring_their_failures_and_settings(rows: list[Row], tmp_path: Path) -> None:
    file = write_rows(rows, tmp_path / "mine")
    config = {"suite": "core", "tasks": [], "seeds": [0, 1], "tuning": False, "out": None, "student": "tiny"}
    (tmp_path / "mine" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    failure = Failure("c/3", "uniform", 0, "no such data").as_json()
    (tmp_path / "mine" / "failures.jsonl").write_text(f"{failure}\n{failure[:9]}", encoding="utf-8")
    html, markdown, _ = write_report(read_report([file], tmp_path / "out"), tmp_path / "out")
    text = markdown.read_text(encoding="utf-8")
    assert text.startswith("# core\n")
    assert "uniform on c/3, seed 0: no such data" in text
    assert "- repeat: `l2a benchmark --suite core --seeds 0 1 --student tiny`\n" in text
    assert f"- replay: `l2a replay {file}`\n" in text
    assert f"- report: `l2a report {file} --out {html.parent}`\n" in text


def test_files_beside_rows_that_are_broken(rows: list[Row], tmp_path: Path) -> None:
    file = write_rows(rows, tmp_path / "mine")
    beside = tmp_path / "mine" / "failures.jsonl"
    beside.write_text('{"task": "a"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"failures\.jsonl, line 1, is no failure of a benchmark"):
        read_report([file], tmp_path / "out")
    beside.unlink()
    for broken in ("{", "[]"):
        (tmp_path / "mine" / "config.json").write_text(broken, encoding="utf-8")
        with pytest.raises(UserError, match=r"config\.json holds no settings of a benchmark"):
            read_report([file], tmp_path / "out")


def test_the_command(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        code: object = None
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    monkeypatch.setattr(sys, "path", [*sys.path])
    half = len(rows) // 2
    files = [str(write_rows(rows[:half], tmp_path / "1")), str(write_rows(rows[half:], tmp_path / "2"))]
    out = tmp_path / "out"
    assert call(*files, "--out", str(out)) == (
        None,
        "".join(f"{out}/report.{end}\n" for end in ("html", "md", "png")),
        "",
    )
    assert (out / "report.md").read_text(encoding="utf-8").startswith("# 1, 2\n")
    code, _, errors = call(files[0], str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "other"))
    assert (code, errors.startswith(f"error: {tmp_path}/none.jsonl can't be read")) == (2, True)
    assert call()[::2] == (2, "error: nothing is given to report on: name run folders or files of rows\n")
    assert not (tmp_path / "other").exists()


def test_names_reach_no_reader_raw(make_rows: Callable[..., list[Row]], tmp_path: Path) -> None:
    """Line breaks, terminal escapes and marks that turn the direction of text are written as codes, everywhere."""
    nasty = "a\nb\x1b[31m\u202e<q>|\x07"
    rows = [*make_rows("none", {nasty: [0.5, 0.55]}, wrong_share=[0.5]), *make_rows("uniform", {nasty: [0.6, 0.62]})]
    rows += make_rows(f"mine:{nasty}", {nasty: [0.7, 0.72]}, learns=True, settings={nasty: nasty}, machine=nasty)
    rows[-1] = replace(rows[-1], domain_share={nasty: [0.5]}, operator_share={nasty: [0.5]}, versions={nasty: nasty})
    classifiers = {nasty: ClassifierFigures(0.9, 100, 16, 900)}
    rows[-1] = replace(rows[-1], classifiers=classifiers, examples=(Example(nasty, nasty, nasty, True, 0.5),))
    failure = Failure(nasty, nasty, 0, f"ValueError: {nasty}".replace("\n", " "))
    report = report_on(rows, [failure], nasty, {"repeat": nasty})
    html, markdown, _ = write_report(report, tmp_path)
    for text in (html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8"), as_text(report.found)):
        assert "a\\nb\\x1b[31m\\u202e" in text.replace("\\\\", "\\").replace("\\[", "[")
        assert not [c for c in text if not c.isprintable() and c != "\n"]
        assert "a\nb" not in text
    assert "<q>" not in html.read_text(encoding="utf-8")


def test_a_report_of_the_users_is_not_replaced(rows: list[Row], tmp_path: Path) -> None:
    report = report_on(rows)
    for file in [*write_report(report, tmp_path), *write_report(report, tmp_path)][3:]:
        ours = file.read_bytes()
        file.write_text("my notes on L2A-Gym", encoding="utf-8")
        with pytest.raises(UserError, match=f"^{file} is no report of L2A-Gym's and would be replaced: move it"):
            write_report(report, tmp_path)
        assert file.read_text(encoding="utf-8") == "my notes on L2A-Gym"
        file.write_bytes(ours)


def test_rows_of_runs_are_reported_too(make_row: Callable[..., Row], tmp_path: Path) -> None:
    """The config.json beside them is a run's, whose command the report does not know."""
    for name, score in (("none", 0.5), ("uniform", 0.6), ("mine", 0.7)):
        row = make_row("a", name, 0, score)
        (tmp_path / "rows.jsonl").open("a", encoding="utf-8").write(f"{row.as_json()}\n")
    (tmp_path / "config.json").write_text('{"algo": "mine", "task": "a"}', encoding="utf-8")
    report = read_report([tmp_path / "rows.jsonl"], tmp_path)
    assert [each.selector for each in report.found.entries] == ["mine", "uniform", "none"]
