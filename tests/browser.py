"""A browser to view pages as a reader does: headless, with its own profile and no network."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests import leftovers

_PROGRAM = shutil.which("chromium")
WHY_NONE = None if _PROGRAM else "chromium is not installed: apt install chromium"

_SWITCHES = [
    # Chromium's own sandbox does not run as root.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser until the context is left."""
    # Processes it starts between tests belong to no test. They all end with the context.
    environment: dict[str, str | float | bool] = {k: v for k, v in os.environ.items() if k != leftovers.MARK}
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_PROGRAM, args=_SWITCHES, env=environment)
        with contextlib.closing(started):
            yield started


@dataclass(frozen=True)
class Opened:
    """An open page, and the errors on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def opened(browser: Browser, file: Path, anchor: str = "", **options: Any) -> Iterator[Opened]:
    """Open a file in its own window. Any error of the page or of a fetch fails the test."""
    with contextlib.closing(browser.new_context(**options)) as context:
        one = Opened(context.new_page())
        one.page.on("console", lambda message: one.complaints.append(f"{message.type}: {message.text}"))
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on("request", lambda request: one.requests.append(request.url.partition("#")[0]))
        one.page.goto(file.as_uri() + (f"#{anchor}" if anchor else ""))
        yield one
        assert not one.complaints
        assert [url for url in one.requests if not url.startswith("data:")] == [file.as_uri()]
