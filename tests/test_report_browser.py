"""The report in a real browser: nothing asked for, nothing broken, readable on a telephone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_facts import abstracts, cancer, write_figures

from tahona.report.page import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("make", "language", "first"), [(cancer, "en", "malignant"), (abstracts, "es", "1")])
def test_the_page_is_whole_at_telephone_width(
    browser: Any, tmp_path: Path, make: Any, language: str, first: str, scheme: str
) -> None:
    facts = make(language, figures=write_figures(tmp_path / "figures", "x"))
    html, *_ = write_report(facts, tmp_path)
    page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(html.as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [html.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.title() == f"{facts.project.name}: " + ("informe" if language == "es" else "report")
    assert page.locator("#task tbody th").first.inner_text().startswith(first)
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    contrast = page.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast
    page.close()


def test_it_prints_without_losing_a_column(browser: Any, tmp_path: Path) -> None:
    html, *_ = write_report(cancer("es"), tmp_path)
    page = browser.new_page(viewport={"width": 718, "height": 1000})
    page.goto(html.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.scrollWidth <= 718)")
    page.close()


CONTRAST = """() => {
  // WCAG 2.2: relative luminance of text against the nearest opaque ground, for the kinds of text on the page.
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = v => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(linear)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = node => { while (node) {
    const c = parts(getComputedStyle(node).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; node = node.parentElement;
  } return [255, 255, 255]; };
  const found = {};
  for (const name of ['.eyebrow', '.subtitle', '.summary .figure', '.interval', '.status', 'nav a',
                      'thead th', 'caption', '.note', '.tone-warning', '.heed h2', 'dt', 'pre code',
                      'tr.marked th', 'figcaption']) {
    const node = document.querySelector(name);
    if (!node) continue;
    const pair = [light(parts(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    found[name] = (pair[0] + .05) / (pair[1] + .05);
  }
  return found;
}"""
