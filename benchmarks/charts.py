"""Save the charts of outages from a sweep's page for docs/grace.md: ``python -m benchmarks.charts OUT/report.html``."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import ViewportSize

from benchmarks import document
from tests.browser import browser, opened

FOLDER = document.DOCUMENT.with_name("grace")
CHARTS = ("stalls", "outages")
WINDOW = ViewportSize(width=800, height=900)


def save(page: Path, folder: Path = FOLDER) -> None:
    """Click "save as PNG" at each chart."""
    with browser() as chromium, opened(chromium, page.resolve(), viewport=WINDOW, color_scheme="light") as seen:
        for chart in CHARTS:
            with seen.page.expect_download() as saved:
                seen.page.locator(f'[id=":{chart}"] + .save').click()
            saved.value.save_as(folder / f"{chart}.png")


if __name__ == "__main__":
    save(Path(sys.argv[1]))
