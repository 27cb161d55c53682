"""Dagster's pages as a person sees them: a mart, the report with its preview, the lineage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from assets_tests.browser.chromium import open_dagster

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]

MART = "assets/warehouse/marts/agg_campaign_daily"
WAIT_MILLISECONDS = 30_000


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT_MILLISECONDS)
    yield page
    context.close()


def test_a_mart_says_what_it_is_and_what_each_column_means(page: Page, dagster_url: str) -> None:
    open_dagster(page, f"{dagster_url}/{MART}?view=overview", wait_for="One row per local day")
    expect(page.get_by_text("distinct impressions rendered").first).to_be_visible(
        timeout=WAIT_MILLISECONDS
    )
    expect(page.get_by_text("team:data-platform").or_(page.get_by_text("data-platform")).first
           ).to_be_visible()  # fmt: skip


def test_the_checks_of_a_mart_passed(page: Page, dagster_url: str) -> None:
    open_dagster(
        page, f"{dagster_url}/{MART}?view=checks", wait_for="agg_campaign_daily_counts_nest"
    )
    expect(page.get_by_text("Passed").first).to_be_visible(timeout=WAIT_MILLISECONDS)
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(3)
    expect(page.get_by_text("Failed", exact=True)).to_have_count(0)


def test_the_report_shows_its_preview(page: Page, dagster_url: str) -> None:
    open_dagster(page, f"{dagster_url}/assets/published/report?view=events", wait_for="preview")
    page.get_by_text("Show Markdown").or_(page.get_by_text("Show markdown")).first.click()
    expect(page.get_by_text("These figures can be trusted").first).to_be_visible()
    chart = page.get_by_role("img", name="messages per hour and stream")
    expect(chart.first).to_be_visible()
    width = chart.first.evaluate("image => image.naturalWidth")
    assert width > 0, "the picture was not drawn"


def test_the_lineage_is_drawn(page: Page, dagster_url: str) -> None:
    open_dagster(page, f"{dagster_url}/asset-groups", wait_for="published")
    expect(page.get_by_text("reference").first).to_be_visible()
    assert page.locator("svg path").count() > 5
