"""The page, the verdict and the preview, on a small real lake and a snapshot made by hand."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from adx_platform.quality.incidents.model import Finding, Incident, Severity, Source, State
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.reporting.document import ReportDocument, gather_document
from adx_platform.reporting.html import TOP_CAMPAIGNS, period_words, render_report, write_report
from adx_platform.reporting.preview import markdown_preview, plain
from adx_platform.reporting.trust import lasting_incidents
from adx_platform.warehouse.published import NothingPublishedError

NOW = datetime(2026, 3, 2, 13, 30, tzinfo=UTC)
HOSTILE = """<script>alert("x")</script>'|`[a](javascript:b)"""
MIXED = [
    {
        "stream": "ad_impressions",
        "accepted": 2, "rejected": 1, "duplicate": 1, "conflict": 1, "absent": 3,
    },
    {"stream": "ad_impressions", "partition_id": 1, "rejected": 1},
]  # fmt: skip
FIGURES = f"""
insert into marts.agg_arrivals_hourly values
    ('2026-03-02 12:00:00', 'ad_impressions', 6, 1), ('2026-03-02 12:00:00', 'bid_requests', 0, 0);
insert into marts.agg_rejects_hourly values
    ('ad_impressions', 'invalid_encoding', 1, '2026-03-02 12:00:00'),
    ('ad_impressions', 'tombstone', 1, '2026-03-02 12:00:00');
insert into marts.dim_advertisers values ('a-1', 'Acme & Sons', true, 'EUR');
insert into marts.dim_campaigns values
    ('c-1', '{HOSTILE.replace("'", "''")}', 'a-1', true, '<b>paused</b>', 10000000, 40000000);
insert into marts.agg_campaign_daily by name
select 'c-1' as campaign_id, 'a-1' as advertiser_id, 'EUR' as currency,
    1000 as gross_impressions, 900 as net_impressions, 450 as viewable_impressions,
    90 as net_clicks, 10 as conversions, 9 as post_click_conversions, 4500000 as spend_micros,
    9000000 as revenue_micros, 950 as billed_impressions, date '2026-03-02' as local_date;
insert into marts.agg_campaign_hourly values
    ('2026-03-02 12:00:00', 'EUR', 900, 90, 950, 4500000);
insert into control.loads values (7, 'ad_impressions', 3, '2026-03-02 12:59:00', 6);
insert into control.load_ranges values (7, 'topic-a', 0, 0, 8, 'forward', 0);
"""


class Page(HTMLParser):
    """Tags, the texts of cells by table id, and everything that could ask for something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [
            str(given[n]) for n in ("src", "href", "style", "xlink:href") if n in given
        ]
        assert not [name for name in given if name.startswith("on")]
        if tag == "table":
            self._rows = self.tables.setdefault(str(given.get("id")), [])
        if tag == "tr":
            self._rows.append([])
        if tag in {"td", "th"}:
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self._cell is not None:
            self._rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell.append(data)


Gather = Callable[..., ReportDocument]


@pytest.fixture
def gathered(mixed_line: Any, report_tables: str) -> Gather:
    def gather(sql: str = FIGURES, *, marts: Any = MIXED) -> ReportDocument:
        mixed_line.publish(marts, sql=report_tables + sql)
        return gather_document(mixed_line.settings, now=NOW)

    return gather


def page_of(document: ReportDocument) -> Page:
    return Page(render_report(document))


def failing(**fields: Any) -> Finding:
    values: dict[str, Any] = {
        "source": Source.CHECK, "subject": "lake/events/ad_impressions", "name": "reject_share",
        "passed": False, "severity": Severity.WARNING, "description": "20% are <b>refused</b>",
        "at": NOW - timedelta(minutes=5), **fields,
    }  # fmt: skip
    return Finding(**values)


def test_the_page_asks_for_nothing_and_forbids_it(gathered: Gather) -> None:
    text = render_report(gathered())
    page = Page(text)
    assert page.addresses == []
    assert not {"script", "link", "img", "iframe", "object", "form", "b"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert style
    assert policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "unsafe" not in policy[1]


def test_what_a_campaign_is_called_is_shown_and_never_run(gathered: Gather) -> None:
    page = page_of(gathered())
    assert HOSTILE in page.text
    assert page.tables["campaigns"][1][0] == f"{HOSTILE}Acme & Sons"


def test_the_figures_of_a_campaign(gathered: Gather) -> None:
    row = page_of(gathered()).tables["campaigns"][1][1:]
    assert row == [
        "1,000", "900", "450", "50.0%", "90", "10.00%", "10", "10.00%", "EUR", "4.50", "5.00",
        "0.05", "0.45", "9.00", "2.00",
    ]  # fmt: skip


def test_spend_against_budget(gathered: Gather) -> None:
    head, group, row = page_of(gathered()).tables["budgets"]
    assert head[:3] == ["campaign", "spend", "plan"]
    assert group == ["Acme & Sons, in EUR"]
    assert row[0].endswith("(<b>paused</b>)")
    assert [row[i] for i in (1, 2, 4, 5, 6, 7)] == [
        "4.50", "10.00", "45%", "under plan", "40.00", "11%",
    ]  # fmt: skip


def test_the_trust_box_of_a_line_that_conserves(gathered: Gather) -> None:
    document = gathered()
    page = page_of(document)
    assert document.trust.verdict == "good"
    assert "These figures can be trusted" in page.text
    assert "in 6 equations over landing, refined rows and marts" in page.text
    streams = {row[0]: row[1:] for row in page.tables["streams"][1:]}
    assert streams["ad_impressions"] == [
        "9", "2", "2", "33.33%", "1", "1", "1", "3", "0", "2 Mar 2026 12:00", "2 Mar 2026 12:00",
    ]  # fmt: skip
    assert streams["bid_requests"][:4] == ["0", "0", "0", "\N{EN DASH}"]
    assert "30 min" in page.text, "published at 13:00, made at 13:30"
    assert "no incident database" in page.text


def test_where_a_figure_comes_from(gathered: Gather) -> None:
    rows = page_of(gathered()).tables["loads"][1:]
    assert rows == [["ad_impressions", "7", "3", "2 Mar 2026 12:59", "6", "0: 0 to 8"]]


def test_broken_conservation_is_the_first_thing_said(gathered: Gather) -> None:
    document = gathered(marts=[{**MIXED[0], "committed_offsets": 9}, MIXED[1]])
    page = page_of(document)
    assert document.trust.verdict == "bad"
    assert "Do not rely on these figures yet" in page.text
    assert "Conservation is broken in 1 places." in page.text
    assert "9 offsets committed, 1 not accounted for" in page.text
    assert "\N{MULTIPLICATION X} Do not rely" in markdown_preview(document)


def test_nothing_counted_is_no_trust(small_line: Any, report_tables: str) -> None:
    small_line.publish(sql=report_tables)
    document = gather_document(small_line.settings, now=NOW)
    page = page_of(document)
    assert document.trust.verdict == "bad"
    assert "there is nothing to count yet" in page.text
    assert "before the first message" in page.text
    assert "No campaign has any activity yet" in page.text
    assert "no data yet" in page.text


def test_incidents_that_last_are_shown(gathered: Gather, mixed_line: Any) -> None:
    settings = mixed_line.settings
    with IncidentStore.open(settings.incidents_url) as store:
        store.record([failing()], settings=settings.incidents, now=NOW)
    document = gathered()
    page = page_of(document)
    assert document.trust.verdict == "attention"
    assert document.trust.failing_checks == ("lake/events/ad_impressions:reject_share",)
    assert "INC-" in page.text
    assert "20% are <b>refused</b>" in page.text
    assert "Warnings that last: 1" in page.text
    with IncidentStore.open(settings.incidents_url) as store:
        resolved = failing(passed=True, at=NOW - timedelta(minutes=1))
        store.record([resolved], settings=settings.incidents, now=NOW)
    assert gathered().trust.verdict == "good"


@pytest.mark.parametrize(
    "change",
    [{"severity": Severity.ERROR}, {"state": State.ESCALATED}],
    ids=["an error", "given up"],
)
def test_wrong_data_or_a_spent_budget_is_bad(gathered: Gather, change: dict[str, Any]) -> None:
    quiet = Incident(
        "INC-0001", "reference", "t", State.OPEN, Severity.WARNING, (), (), "d", NOW, NOW
    )
    trust = replace(gathered().trust, incidents=(replace(quiet, **change),))
    assert trust.verdict == "bad"
    assert trust.sentences == ("Wrong or missing data, or mending was given up: INC-0001.",)
    assert replace(trust, incidents=(quiet,)).verdict == "attention"


def test_lost_offsets_ask_for_attention(gathered: Gather) -> None:
    document = gathered(marts=[{**MIXED[0], "lost": 4}, MIXED[1]])
    assert document.trust.verdict == "attention"
    assert "4 offsets were dropped by the broker" in page_of(document).text


def test_a_report_never_makes_the_incident_database(small_line: Any) -> None:
    assert lasting_incidents(small_line.settings.incidents_url) is None
    assert not list(small_line.settings.home.glob("*.sqlite*"))


def test_the_page_is_replaced_whole_and_leaves_nothing_behind(
    gathered: Gather, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "report.html"
    first = write_report(gathered(), path)
    assert first == path.stat().st_size < 60_000
    assert write_report(gathered(), path) == first, "the same figures give the same page"
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]


def test_hundreds_of_campaigns_stay_a_page(gathered: Gather) -> None:
    document = gathered()
    campaign, budget = document.campaigns[0], document.budgets[0]
    many = TOP_CAMPAIGNS + 100
    document = replace(
        document,
        campaigns=[replace(campaign, campaign_id=f"c-{i}") for i in range(many)],
        budgets=[replace(budget, campaign_id=f"c-{i}") for i in range(many)],
    )
    text = render_report(document)
    assert len(text.encode()) < 400_000
    page = Page(text)
    assert len(page.tables["campaigns"]) == TOP_CAMPAIGNS + 1
    assert "and 100 smaller campaigns" in page.text


def test_before_the_first_build(mixed_line: Any) -> None:
    with pytest.raises(NothingPublishedError):
        gather_document(mixed_line.settings, now=NOW)


def test_the_tail_bounds_the_recount_of_the_lake(mixed_line: Any, gathered: Gather) -> None:
    gathered()
    document = gather_document(mixed_line.settings, now=NOW, tail_offsets=2)
    assert document.trust.conservation.holds
    assert document.trust.offsets == 9, "the marts are recounted whole"
    assert "the newest 2 offsets of each partition" in page_of(document).text


def test_the_preview_cannot_be_led_astray(gathered: Gather) -> None:
    text = markdown_preview(gathered())
    row = next(line for line in text.splitlines() if "alert" in line)
    assert "<script" not in text
    assert len(re.findall(r"(?<!\\)\|", row)) == 8, "seven cells"
    assert "](javascript" not in text
    assert "4.50 EUR" in row
    assert text.startswith("**\N{CHECK MARK} These figures can be trusted**, 2 Mar 2026")
    assert "](data:image/svg+xml;base64," in text


@pytest.mark.parametrize(
    ("given", "shown"),
    [("a|b", r"a\|b"), ("two\nlines", "two lines"), ("<b>&", "&lt;b&gt;&amp;"), ("*x*", r"\*x\*")],
)
def test_plain_markdown(given: str, shown: str) -> None:
    assert plain(given) == shown


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ((2026, 3, 2), (2026, 3, 2), "2 Mar 2026"),
        ((2026, 3, 2), (2026, 4, 1), "2 Mar to 1 Apr 2026"),
        ((2025, 12, 30), (2026, 1, 1), "30 Dec 2025 to 1 Jan 2026"),
    ],
)
def test_periods(first: tuple[int, int, int], last: tuple[int, int, int], words: str) -> None:
    assert period_words((datetime(*first, tzinfo=UTC), datetime(*last, tzinfo=UTC))) == words
