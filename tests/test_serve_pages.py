"""The server's pages in a real browser: under their policies nothing is missing, and nothing is asked for elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from serving import Server
from test_report_browser import CHROMIUM, browser  # noqa: F401  (a fixture)

from tahona.serve.access import ROUTES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")


@pytest.mark.parametrize("path", ["/docs", "/project/report"])
def test_a_page_is_whole_and_asks_nobody_else(browser: Any, server: Server, path: str) -> None:  # noqa: F811
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(f"{server.address}{path}")
    assert answer.status == 200
    page.wait_for_load_state("networkidle")
    assert [url for url in asked if not url.startswith((f"{server.address}/", "data:"))] == []
    assert [text for text in complaints if "favicon" not in text and "404" not in text] == []
    images = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
    assert all(images)
    if path == "/docs":
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.locator("details").count() == len(ROUTES)
        assert page.locator("pre").first.is_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('pre')).fontFamily").startswith("ui-monospace")
    page.close()
