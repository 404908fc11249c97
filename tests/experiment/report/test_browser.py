"""The report's page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from l2a_gym.experiment.report.page import write_report
from l2a_gym.experiment.report.report import report_on
from l2a_gym.experiment.rows import ClassifierFigures, Failure, Row

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const own = (element) => [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  return [...document.body.querySelectorAll("*:not(script, title)")].filter(own).map((element) => {
    const style = getComputedStyle(element);
    const colour = channels(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(colour), luminance(background(element))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.trim()];
  });
}"""
"""Contrast of each text to the nearest background behind it, by WCAG 2.2's definition."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(make_rows: Callable[..., list[Row]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    tasks = [f"hutto/{name}-64-noise40" for name in ("nyt", "tweets", "amazon", "movie")]
    names = ("few-shot teacher", "TF-IDF", "frozen vectors, cleaned sources + shots")
    classifiers = {name: ClassifierFigures(0.81, 400, 112, 11_170_562) for name in names}
    rows = make_rows("none", {task: [0.5, 0.51] for task in tasks}, classifiers=classifiers)
    rows += make_rows("uniform", {task: [0.6, 0.605] for task in tasks})
    rows += make_rows("random-search", {task: [0.64, 0.61] for task in tasks}, learns=True)
    rows += make_rows("my_package.my_module:ASelectorOfALongName", {task: [0.55, 0.66] for task in tasks}, learns=True)
    rows += make_rows("pgpe@shuffled", {task: [0.49, 0.495] for task in tasks}, learns=True)
    rows += make_rows("<img src=x onerror=alert(1)>", {tasks[0]: [0.995]})
    failures = [Failure(tasks[1], "<img src=x onerror=alert(1)>", 0, "RuntimeError: out of memory")]
    report = report_on(rows, failures, "core", {"repeat": "python x.py " + 20 * "--x=1 "})
    return write_report(report, tmp_path_factory.mktemp("report"))[0]


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The page, at a desk; what it logs and asks for is kept in ``said``."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    opened.said = []
    for event in ("console", "pageerror", "dialog"):
        opened.on(event, lambda what: opened.said.append(str(what)))
    opened.on("request", lambda request: opened.said.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    opened.close()


def test_it_loads_itself_and_nothing_else(page: Any, file: Path) -> None:
    page.wait_for_load_state("networkidle")
    assert page.said == [file.as_uri()]
    assert page.title() == "core"


def test_all_pictures_can_be_seen_and_have_a_name(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    pictures = page.eval_on_selector_all(
        "svg[role=img]",
        "(all) => all.map((e) => [e.getBoundingClientRect().width, e.getBoundingClientRect().height, e.ariaLabel])",
    )
    # Intervals and profiles of 5 selectors, one of curves; shares by domain and operator of 5 selectors on 4 tasks and
    # of one more on one task.
    assert len(pictures) == 5 + 5 + 1 + 2 * (5 * 4 + 1)
    assert all(width > 30 and height > 10 and label for width, height, label in pictures)
    drawn = page.eval_on_selector_all(
        ".plot svg path", "(all) => all.map((e) => e.getBBox().width + e.getBBox().height)"
    )
    assert sum(size > 10 for size in drawn) > 5 * 5
    names = page.eval_on_selector_all("[id]", "(all) => all.map((e) => e.id)")
    assert len(names) == len(set(names))


def order(page: Any, table: str, column: int) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f"{table} tbody tr", f"(all) => all.map((e) => e.cells[{column}].dataset.value)"
    )
    return found


def sorted_by(page: Any, table: str) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f"{table} th[aria-sort]", "(all) => all.map((e) => `${e.cellIndex} ${e.ariaSort}`)"
    )
    return found


def test_a_press_sorts_by_number_and_another_turns_it_round(page: Any) -> None:
    assert sorted_by(page, "#entries") == []
    button = page.locator("#entries thead button").nth(2)
    assert button.inner_text() == "vs. uniform"
    button.click()
    values = order(page, "#entries", 3)
    assert sorted_by(page, "#entries") == ["3 descending"]
    assert values[-1] == ""  # uniform itself
    numbers = [float(value) for value in values[:-1]]
    assert min(numbers) < -0.1
    assert numbers == sorted(numbers, reverse=True)
    button.click()
    assert sorted_by(page, "#entries") == ["3 ascending"]
    assert order(page, "#entries", 3) == [*values[:-1][::-1], ""]


def test_names_are_sorted_from_the_keyboard(page: Any) -> None:
    page.locator("#cells thead button").first.focus()
    page.keyboard.press("Enter")
    names = order(page, "#cells", 0)
    assert sorted_by(page, "#cells") == ["0 ascending"]
    assert names[0].startswith("<img")
    assert names[1:] == sorted(names[1:])
    page.keyboard.press("Space")
    assert order(page, "#cells", 0) == names[::-1]
    assert page.locator("#cells tfoot th").inner_text() == "all-data teacher"
    page.locator("#cells thead button").nth(2).click()
    assert sorted_by(page, "#cells") == ["2 descending"]
    assert order(page, "#cells", 2)[-1] == ""  # no row on this task


@pytest.mark.parametrize("width", [320, 375, 768, 1200])
def test_only_tables_are_wider_than_the_screen(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.eval_on_selector_all(".box", "(all) => all.map((e) => [e.scrollWidth, e.clientWidth, e.tabIndex])")
    assert len(boxes) == 2 + 4  # one for the classifiers of each task
    assert all(focusable == 0 for *_, focusable in boxes)
    assert width > 400 or all(inner > outer for inner, outer, _ in boxes)


def test_the_names_stay_in_sight_while_a_table_is_scrolled(page: Any) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    left = "(e) => e.getBoundingClientRect().left"
    cell, name = page.locator("#cells tbody td").first, page.locator("#cells tbody th").first
    before = cell.evaluate(left), name.evaluate(left)
    page.locator(".box").nth(1).evaluate("(e) => { e.scrollLeft = 100; }")
    assert cell.evaluate(left) == before[0] - 100
    assert name.evaluate(left) == pytest.approx(before[1], abs=1)


def test_both_schemes_can_be_read(page: Any) -> None:
    seen = []
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        contrasts = page.evaluate(CONTRAST)
        assert len(contrasts) > 100
        assert min(contrasts)[0] >= 4.5, min(contrasts)
        style = "getComputedStyle(document.body)"
        text = "getComputedStyle(document.querySelector('.plot svg text')).fill"
        seen.append([page.evaluate(f"{style}.backgroundColor"), page.evaluate(f"{style}.color"), page.evaluate(text)])
    light, dark = seen
    assert all(a != b for a, b in zip(light, dark, strict=True))


def test_it_is_all_there_without_scripts(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(file.as_uri())
    assert plain.locator("#entries tbody tr").count() == 5
    assert plain.locator("#cells tbody tr").count() == 6
    headings = plain.locator("h2").all_inner_texts()
    assert headings == [
        *("What was found", "Leaderboard", "Task by task", "Teachers and references", "Performance profiles"),
        *("While the budget is spent", "What was chosen", "Controls", "How it was made", "Missing and failed"),
    ]
    context.close()
