"""The report's page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2a_gym.experiment.report.compared import REFERENCES
from l2a_gym.experiment.report.page import write_report
from l2a_gym.experiment.report.report import report_on
from l2a_gym.experiment.rows import ClassifierFigures, Example, Failure, Row

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def file(make_rows: Callable[..., list[Row]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report as of the suite ``questions``: two targets with six questions each, and all kinds of selectors."""
    tasks = [f"hutto/{target}-64{noise}" for target in ("nyt", "amazon") for noise in ("", "-noise40", "-inverted")]
    tasks += [f"hutto/{target}-64-{noise}" for target in ("nyt", "amazon") for noise in ("asym60", "shift", "crowd")]
    names = ("few-shot teacher", "TF-IDF", "frozen vectors, cleaned sources + shots")
    classifiers = {name: ClassifierFigures(0.81, 400, 112, 11_170_562) for name in names}
    example = Example("what a long text " * 9, "positive", "movie", wrong=True, weight=0.5)
    levels = {
        **{"none": 0.5, "uniform": 0.6, "random-search": 0.63, "best-rule": 0.62, "pgpe@shuffled": 0.49},
        **{"my_package.my_module:ASelectorOfALongName": 0.61, "oracle": 0.7},
    }
    rows = []
    for name, level in levels.items():
        learns = name.startswith(("random", "my_", "pgpe"))
        for i, task in enumerate(tasks):
            scores = [level, level + 0.01 - 0.002 * i]
            wrong = [0.4, 0.2] if task.count("-") > 1 else []
            values = {"classifiers": classifiers, "wrong_share": wrong, "examples": (example, example)}
            rows += make_rows(name, {task: scores}, learns=learns, **values)
    rows += make_rows(HOSTILE, {tasks[0]: [0.995]})
    failures = [Failure(tasks[1], HOSTILE, 0, "RuntimeError: out of memory")]
    report = report_on(rows, failures, "questions", {"repeat": "python x.py " + 20 * "--x=1 "})
    return write_report(report, tmp_path_factory.mktemp("report"))[0]


@pytest.fixture
def page(open_page: Callable[[Path], Any], file: Path) -> Any:
    return open_page(file)


def test_it_loads_itself_and_nothing_else(page: Any, file: Path) -> None:
    page.wait_for_load_state("networkidle")
    assert page.said == [file.as_uri()]
    assert page.title() == "questions"


def test_all_pictures_can_be_seen_and_have_a_name(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    pictures = page.eval_on_selector_all(
        "svg[role=img]",
        "(all) => all.map((e) => [e.getBoundingClientRect().width, e.getBoundingClientRect().height, e.ariaLabel])",
    )
    # Gains and curves; shares by domain and operator of 7 selectors on 12 tasks and of one more on one task, and of
    # wrong labels on 10 tasks. Of the gains, the picture for narrow screens is hidden.
    assert len(pictures) == 2 + 1 + 2 * (7 * 12 + 1) + 7 * 10
    hidden = [label for width, _, label in pictures if not width]
    assert len(hidden) == 1
    assert hidden[0].startswith("Gains of 7 selectors")
    assert all(label and ((width > 30 and height > 10) or label in hidden) for width, height, label in pictures)
    drawn = page.eval_on_selector_all(
        ".plot.wide svg path", "(all) => all.map((e) => e.getBBox().width + e.getBBox().height)"
    )
    assert sum(size > 10 for size in drawn) > 3 * 7
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
    button = page.locator("#entries thead button").nth(3)
    assert button.inner_text() == "vs. random-search"
    button.click()
    values = order(page, "#entries", 3)
    assert sorted_by(page, "#entries") == ["3 descending"]
    assert values[-1] == ""  # random-search itself
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


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(320, "light"), (390, "light"), (390, "dark"), (768, "light"), (1280, "light"), (1280, "dark")],
)
def test_nothing_is_cut(page: Any, outside: str, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.eval_on_selector_all(".box", "(all) => all.map((e) => [e.scrollWidth, e.clientWidth, e.tabIndex])")
    assert len(boxes) == 3 + 12  # leaderboard, tasks and grid, and one for the classifiers of each task
    assert all(focusable == 0 for *_, focusable in boxes)
    cut = [(inner, outer) for inner, outer, _ in boxes if inner > outer]
    assert not cut or width == 768  # there the table of tasks is scrolled in its box
    assert width == 768 or page.evaluate(outside) == []
    assert [each for each in page.said if not each.startswith("file:")] == []


def test_a_phone_shows_cards_and_the_picture_for_narrow_screens(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    shown = {name: page.locator(f".plot.{name}").is_visible() for name in ("wide", "narrow")}
    assert shown == {"wide": False, "narrow": True}
    size = page.locator(".plot.narrow svg text").first.evaluate("(e) => e.getBoundingClientRect().height")
    assert size > 10
    card = page.locator("#cells tbody tr").first
    assert (
        card.locator("td").nth(1).evaluate("(e) => getComputedStyle(e, '::before').content")
        == '"hutto/amazon-64-asym60"'
    )
    assert card.locator("td").first.is_visible()
    heads = [each for each in page.locator("#entries thead th").all() if each.is_visible()]
    assert [head.inner_text() for head in heads] == ["selector", *(f"vs. {r}" for r in REFERENCES)]


def test_both_schemes_can_be_read(page: Any, contrast: str) -> None:
    seen = []
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        contrasts = page.evaluate(contrast)
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
    assert plain.locator("#entries tbody tr").count() == 7
    assert plain.locator("#cells tbody tr").count() == 8
    headings = plain.locator("h2").all_inner_texts()
    assert headings == [
        *("What was found", "Gains", "Leaderboard", "Task by task", "Teachers and references"),
        *("While the budget is spent", "Weight on wrong labels", "What was chosen", "Example texts", "Controls"),
        *("How it was made", "What is there"),
    ]
    context.close()
