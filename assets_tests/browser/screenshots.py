"""Makes the README's two pictures from a platform that runs: the Dagster UI and the HTML report.

    python -m assets_tests.browser.screenshots --ui http://127.0.0.1:3000 \\
        --report .adx/report/report.html --to docs/images

Belongs here: which pages, and at which size. Run it while `make dev` is up, and after the first
build, so that there is something to see.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Browser

from assets_tests.browser.chromium import installed_chromium, open_dagster, running_chromium

WIDTH, UI_HEIGHT, REPORT_HEIGHT = 1440, 900, 1100
SCALE = 1.5
DRAWN_AFTER_MILLISECONDS = 3_000


def dagster(browser: Browser, url: str, shown: str, target: Path) -> None:
    """A page of the UI, once ``shown`` is on it."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": UI_HEIGHT}, device_scale_factor=SCALE
    )
    open_dagster(page, url, wait_for=shown)
    # A graph is laid out by a worker after its data came, and says nowhere that it is done.
    page.wait_for_timeout(DRAWN_AFTER_MILLISECONDS)
    page.screenshot(path=target)
    page.close()


def report(browser: Browser, file: Path, target: Path) -> None:
    """The top of the report: the trust box and the totals."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": REPORT_HEIGHT}, device_scale_factor=SCALE
    )
    page.goto(file.absolute().as_uri())
    page.screenshot(path=target)
    page.close()


def main() -> int:
    """Make both pictures; the exit code is 1 without a browser or a report."""
    parser = argparse.ArgumentParser(description="Make the README's two pictures.")
    parser.add_argument("--ui", default="http://127.0.0.1:3000", help="address of Dagster's UI")
    parser.add_argument("--page", default="asset-groups", help="path of the page in the UI")
    parser.add_argument("--shows", default="published", help="a text that is on this page")
    parser.add_argument("--report", type=Path, default=Path(".adx/report/report.html"))
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    executable = installed_chromium()
    if executable is None:
        sys.stderr.write("no Chromium: install it, or name it in ADX_TEST_CHROMIUM\n")
        return 1
    if not options.report.is_file():
        sys.stderr.write(f"no report at {options.report}: run `adx report --html`\n")
        return 1
    options.to.mkdir(parents=True, exist_ok=True)
    with running_chromium(executable) as browser:
        address = f"{options.ui.rstrip('/')}/{options.page.lstrip('/')}"
        dagster(browser, address, options.shows, options.to / "dagster.png")
        report(browser, options.report, options.to / "report.png")
    sys.stdout.write(f"{options.to / 'dagster.png'}\n{options.to / 'report.png'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
