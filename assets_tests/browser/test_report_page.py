"""The HTML report as a person opens it: a file, offline, in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from assets_tests.integration.installed_line import InstalledLine

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]

TEXT_IN_SIGHT = """
() => {
  const box = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || parent.closest("svg")) continue;
    let ground = parent;
    while (ground && getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)")
      ground = ground.parentElement;
    box.push([
      getComputedStyle(parent).color,
      getComputedStyle(ground).backgroundColor,
      walk.currentNode.data.trim().slice(0, 40),
    ]);
  }
  return box;
}
"""
CHART_TEXT = """
() => [...document.querySelectorAll("svg.chart text")].map(text => [
  getComputedStyle(text).fill,
  getComputedStyle(text.closest("section")).backgroundColor,
  text.textContent,
])
"""


@dataclass
class Opened:
    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def report(line: InstalledLine) -> Path:
    path = line.home / "report" / "report.html"
    assert path.is_file(), "the asset `report` wrote it at the end of the build"
    return path


@pytest.fixture(scope="module")
def figures(line: InstalledLine) -> dict[str, Any]:
    """The report for scripts."""
    found: dict[str, Any] = json.loads(line.run("report", "--json").stdout)
    return found


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Open]:
    """Opens the report with the network cut off; every request but the file itself is recorded."""
    contexts = []

    def open_page(*, width: int = 1280, **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_offline(True)
        found = Opened(context.new_page())
        address = report.as_uri()
        found.page.on("request", lambda r: r.url == address or found.requests.append(r.url))
        found.page.on("console", lambda message: found.errors.append(message.text))
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.goto(address)
        return found

    yield open_page
    for context in contexts:
        context.close()


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, by WCAG."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_it_opens_offline_asks_for_nothing_and_says_how_far_to_trust_it(opened: Open) -> None:
    found = opened()
    assert found.page.title().startswith("Campaign report, 2 Mar")
    assert found.requests == []
    assert found.errors == []
    box = found.page.locator("#trust")
    assert "These figures can be trusted" in box.inner_text()
    assert "Conservation holds: every offset is accounted for exactly once" in box.inner_text()


def test_its_campaigns_are_those_of_the_report_for_scripts(
    opened: Open, figures: dict[str, Any]
) -> None:
    rows = opened().page.locator("#campaigns tbody tr")
    shown = {
        row.get_attribute("data-campaign"): row.locator("td").all_inner_texts()
        for row in rows.all()
    }
    assert shown
    assert shown == {
        c["campaign_id"]: [
            f"{c['gross_impressions']:,}",
            f"{c['net_impressions']:,}",
            f"{c['viewable_impressions']:,}",
            share(c["viewable_impressions"], c["net_impressions"]),
            f"{c['clicks']:,}",
            figure(c["ctr"], ".2%"),
            f"{c['conversions']:,}",
            figure(c["cvr"], ".2%"),
            c["currency"],
            f"{c['spend_micros'] / 1e6:,.2f}",
            *(figure(c[name], ",.2f") for name in ("cpm", "cpc", "cpa")),
            f"{c['revenue_micros'] / 1e6:,.2f}",
            figure(c["roas"], ",.2f"),
        ]
        for c in figures["campaigns"]
    }


def share(part: int, whole: int) -> str:
    return figure(part / whole if whole else None, ".1%")


def figure(value: float | None, form: str) -> str:
    return "\N{EN DASH}" if value is None else format(value, form)


def test_the_streams_of_the_trust_box_are_those_of_the_report_for_scripts(
    opened: Open, figures: dict[str, Any]
) -> None:
    rows = opened().page.locator("#streams tbody tr").all()
    shown = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()[1:6] for row in rows
    }
    for stage in figures["stages"]:
        accepted, rejected, _, duplicates, conflicts = shown[stage["stream"]]
        assert [accepted, rejected, duplicates, conflicts] == [
            f"{stage[name]:,}" for name in ("accepted", "rejected", "duplicates", "conflicts")
        ]


def test_dark_mode_changes_the_colours(opened: Open) -> None:
    script = "() => getComputedStyle(document.body).backgroundColor"
    light = opened(color_scheme="light").page.evaluate(script)
    dark = opened(color_scheme="dark").page.evaluate(script)
    assert luminance(light) > 0.8
    assert luminance(dark) < 0.05


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(opened: Open, scheme: str) -> None:
    page = opened(color_scheme=scheme).page
    texts = page.evaluate(TEXT_IN_SIGHT) + page.evaluate(CHART_TEXT)
    assert len(texts) > 100
    weak = [(words, round(contrast(ink, ground), 2)) for ink, ground, words in texts
            if contrast(ink, ground) < 4.5]  # fmt: skip
    assert weak == []


@pytest.mark.parametrize("width", [390, 768])
def test_a_narrow_screen_scrolls_down_only(opened: Open, width: int) -> None:
    page = opened(width=width).page
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    chart = page.locator("svg.chart").first.bounding_box()
    assert chart is not None
    assert 0.6 * width < chart["width"] <= width


def test_the_printed_page_is_black_on_white(opened: Open) -> None:
    page = opened(color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    style = page.evaluate(
        "() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; }"
    )
    ink, ground = style
    assert contrast(ink, ground) > 15
    assert luminance(ground) == 1
