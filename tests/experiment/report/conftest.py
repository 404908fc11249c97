"""A real browser for the pages of a report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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


OUTSIDE = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const box = element.getBoundingClientRect();
  return box.width && (box.left < -0.5 || box.right > innerWidth + 0.5);
}).map((element) => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`)"""
"""What stands beyond the screen's left or right edge."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[[Path], Any]]:
    """Opens a file at a desk; what the page logs and asks for is kept in its ``said``."""
    pages = []

    def open_file(file: Path) -> Any:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        pages.append(page)
        page.said = []
        for event in ("console", "pageerror", "dialog"):
            page.on(event, lambda what: page.said.append(str(what)))
        page.on("request", lambda request: page.said.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_file
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def contrast() -> str:
    return CONTRAST


@pytest.fixture(scope="session")
def outside() -> str:
    return OUTSIDE
