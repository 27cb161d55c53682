"""The browser that is installed on this machine, driven by Playwright, which downloads none.

``ADX_TEST_CHROMIUM`` names it where it is not on the search path.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

NAMES = ("chromium", "chromium-browser", "google-chrome")
SKIP_AFTER_MILLISECONDS = 1_500


def installed_chromium() -> str | None:
    """Path of the browser; null if there is none."""
    named = os.environ.get("ADX_TEST_CHROMIUM")
    if named:
        return shutil.which(named)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def running_chromium(executable: str) -> Iterator[Browser]:
    """A browser for as long as the context lasts."""
    with sync_playwright() as playwright:
        # Containers run as root, where Chromium has no sandbox; it loads nothing from outside.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def open_dagster(page: Page, url: str, *, wait_for: str) -> None:
    """Open a page of Dagster's UI and wait until ``wait_for`` is on it.

    An installation whose ``nux`` is on greets the first visitor with a dialogue, which is skipped.
    """
    page.goto(url)
    # Names that are cut in the middle are there a second time, hidden, to be measured.
    page.get_by_text(wait_for).locator("visible=true").first.wait_for()
    try:
        page.get_by_role("button", name="Skip").click(timeout=SKIP_AFTER_MILLISECONDS)
    except PlaywrightTimeout:
        return
