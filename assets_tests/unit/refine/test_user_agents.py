from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.refine.crawlers import known_crawlers
from adx_platform.refine.user_agents import agents
from assets_tests.bench.user_agents import folds, judged, quality, read_labelled

PEOPLE = [
    (
        (
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/120.0.0.0 Mobile Safari/537.36"
        ),
        "mobile",
    ),
    (
        (
            "Mozilla/5.0 (Linux; Android 6.0; CUBOT NOTE S Build/MRA58K) AppleWebKit/537.36 "
            "(KHTML, like Gecko) Chrome/58.0.3029.83 Mobile Safari/537.36"
        ),
        "mobile",
    ),
    (
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Version/4.0 Chrome/124.0.0.0 Mobile Safari/537.36 CamScanner/4.8.5"
        ),
        "mobile",
    ),
    (
        (
            "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
        ),
        "tablet",
    ),
    (
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X900) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/126.0.0.0 Safari/537.36"
        ),
        "tablet",
    ),
    (
        (
            "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.5) AppleWebKit/537.36 (KHTML, like Gecko) "
            "85.0.4183.93/6.5 TV Safari/537.36"
        ),
        "ctv",
    ),
    ("Roku/DVP-12.5 (12.5.0.4178-C2)", "ctv"),
    (
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.5 Safari/605.1.15"
        ),
        "desktop",
    ),
    ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", "desktop"),
    ("Mozilla/5.0 (compatible; Konqueror/4.5; FreeBSD) KHTML/4.5.4 (like Gecko)", None),
    ("Dalvik/2.1.0 (Linux; U; Android 12; SM-A127F Build/SP1A.210812.016)", "mobile"),
    # A company and a television that ua-parser's generic rule takes for robots.
    ("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0; Caboto s.p.a.)", "desktop"),
    ("Opera/9.70 (Linux armv7l ; U; turbotabbee/TSV2.0; fr) Presto/2.2", None),
    ("Mozilla/3.0 (compatible; NetPositive/2.2.1; BeOS)", None),
    ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", None),
    ("GoogleApp/14.35.18.28.arm64", None),
    # Browsers may close with their own name; what else does so on a desktop is a robot.
    (
        (
            "Mozilla/5.0 (Windows NT 5.1) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/34.0.1847.137 Safari/537.36 LBBROWSER"
        ),
        "desktop",
    ),
]

ROBOTS = [
    "Mozilla/5.0 (compatible; UnheardOfBot/1.0; +https://robots.example/about)",
    "Mozilla/5.0 (compatible; Unheard-Of/2.0)",
    "mozilla/5.0 (x11; linux x86_64) applewebkit/537.36 headlesschrome/120.0.0.0",
    "Mozilla/5.0 Inquisitive",
    "Mozilla/5.0 (Quiet Robot)",
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko; compatible; Some) "
        "Chrome/100.0 Safari/537.36"
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/76.0.3809.87 Safari/537.36 LinkTiger"
    ),
    "iphone|Mozilla/5.0 (iPhone; CPU iPhone OS 8_7_7; like Mac OS X) AppleWebKit/535.47",
    "Pictures/6.7.5, Mozilla/5.0 (Linux; Android 9; X) AppleWebKit/537.36 (KHTML, like Gecko)",
    "SiteScraper 3",
    "news-spider/0.1",
]
TOOLS = [
    "curl/8.5.0",
    "python-requests/2.31",
    "Go-http-client/1.1",
    "okhttp/4.12",
    "Java/17.0.1",
    "x",
]


@pytest.mark.parametrize(("agent", "device"), PEOPLE)
def test_people_are_people_on_their_device(agent: str, device: str | None) -> None:
    row = agents(pl.Series([agent]), ()).row(0, named=True)
    assert (row["is_crawler"], row["is_tool"]) == (False, False)
    assert row["agent_device_type"] == device


@pytest.mark.parametrize("agent", ROBOTS)
def test_robots_are_told_by_words_and_shape(agent: str) -> None:
    assert agents(pl.Series([agent]), ())["is_crawler"].to_list() == [True]


@pytest.mark.parametrize("agent", TOOLS)
def test_tools_are_told(agent: str) -> None:
    assert agents(pl.Series([agent]), ())["is_tool"].to_list() == [True]


def test_no_user_agent_says_nothing_and_order_is_kept() -> None:
    told = agents(pl.Series(["curl/8", None, PEOPLE[0][0], "curl/8"]), ())
    assert told["is_tool"].to_list() == [True, None, False, True]
    assert told["agent_browser"].to_list()[2] == "Chrome Mobile"


@pytest.mark.parametrize("word", ["tizen", "select ", "android ", "(compatible;", "mozilla/5.0"])
def test_a_user_agent_of_a_megabyte_does_not_stop_the_line(word: str) -> None:
    """Judged whole, a thousand kilobytes of "tizen" took half an hour."""
    person = PEOPLE[0][0]
    long = person + " " + word * (1_000_000 // len(word))
    # What lies beyond the first 1,024 characters is not looked at.
    assert agents(pl.Series([long]), ("Fetch/",)).equals(
        agents(pl.Series([long[:1_024], long[:1_024] + "Googlebot Fetch/1"]), ("Fetch/",))[1]
    )


def test_patterns_as_text_and_as_expressions_agree_with_re() -> None:
    patterns = ("Fetch\\/", "^LCC ", "[wW]get", "a.b", "x\\.y", "(one|two)$", "")
    texts = ["MyFetch/1", "LCC 1", " LCC", "Wget", "axb", "x.y", "xzy", "one", "one ", "none"]
    found = known_crawlers(pl.Series(texts), patterns[:-1])
    assert found.to_list() == [
        any(re.search(pattern, value) for pattern in patterns[:-1]) for value in texts
    ]
    assert known_crawlers(pl.Series(texts), ()).to_list() == [False] * len(texts)


def test_labelled_user_agents_are_told_apart_well(test_data: Path, tmp_path: Path) -> None:
    patterns = load_enrichment_reference(tmp_path).crawler_patterns
    labelled = read_labelled(test_data / "bots" / "ua_labelled.tsv")
    found = quality(labelled, judged(labelled, patterns))
    assert found.recall > 0.985
    # Nine of the ten "people" are attacks, robots and libraries by their own words.
    assert found.people_found <= 10


def test_robots_that_no_pattern_lists_are_found_too(test_data: Path, tmp_path: Path) -> None:
    patterns = load_enrichment_reference(tmp_path).crawler_patterns
    labelled = read_labelled(test_data / "bots" / "ua_labelled.tsv")
    parts = list(folds(labelled, patterns))
    seen = pl.DataFrame([inside for inside, _ in parts]).select(pl.sum_horizontal(pl.all()))
    assert seen.to_series().unique().to_list() == [1]
    for inside, known in parts:
        assert 150 < len(patterns) - len(known) < 500
        part = labelled.filter(inside)
        assert quality(part, judged(part, known)).recall > 0.96
