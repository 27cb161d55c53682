"""What people read, for every source of incidents; kept as snapshots to be read through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.observability.channels import document, slack_blocks, text
from adx_platform.observability.messages import compose
from adx_platform.quality.incidents.model import (
    Action,
    Attempt,
    NoticeKind,
    Remedy,
    SeriesWindow,
    Severity,
    State,
)
from assets_tests.unit.observability.conftest import CHECK, NOON, make_notice

UI = "http://dagster.example:3000/"
CONSERVATION = "lake/events/ad_impressions:conservation"
REPAIR = Remedy(
    Action.REPAIR_LAKE, "ad_impressions", "topic-a", (OffsetRange(0, 100, 200),), ("bad_json",)
)
TRIED = Attempt(1, REPAIR, NOON, NOON + timedelta(minutes=1), "run-1", True, "2 files", False)
BROKE = Attempt(2, REPAIR, NOON, NOON + timedelta(minutes=3), "run-2", False, "no such file")

CASES: dict[str, tuple[NoticeKind, dict[str, Any]]] = {
    "a warning, mended by itself": (NoticeKind.OPENED, {}),
    "a blocking check": (
        NoticeKind.OPENED,
        {
            "title": "conservation failed on lake/events/ad_impressions",
            "severity": Severity.ERROR,
            "failing": (CONSERVATION, CHECK),
            "checks": (CONSERVATION, CHECK),
            "description": "partition 0: 100 offsets are not accounted for",
            "remedy": REPAIR,
        },
    ),
    "an anomaly, only watched": (
        NoticeKind.OPENED,
        {
            "scope": "market",
            "title": "ctr failed on warehouse/marts/agg_exchange_hourly",
            "failing": ("warehouse/marts/agg_exchange_hourly:ctr",),
            "checks": ("warehouse/marts/agg_exchange_hourly:ctr",),
            "state": State.WATCHING,
            "remedy": Remedy(Action.OBSERVE),
            "description": "CTR of ex-2 was 0.01 %, the band is 0.20 % to 0.45 %",
            "windows": (SeriesWindow("ctr", "ex-2", NOON),),
        },
    ),
    "a failed run": (
        NoticeKind.OPENED,
        {
            "title": "run failed on ingest_ad_impressions/lane-0",
            "severity": Severity.ERROR,
            "failing": ("ingest_ad_impressions/lane-0:run",),
            "checks": ("ingest_ad_impressions/lane-0:run",),
            "description": "ingest_ad_impressions/lane-0 failed: the disk is full",
            "state": State.WATCHING,
            "remedy": Remedy(Action.OBSERVE),
        },
    ),
    "not fresh": (
        NoticeKind.OPENED,
        {
            "scope": "warehouse",
            "title": "freshness failed on warehouse/published",
            "failing": ("warehouse/published:freshness",),
            "checks": ("warehouse/published:freshness",),
            "description": "warehouse/published was not materialised in time (freshness is WARN)",
            "state": State.WATCHING,
            "remedy": Remedy(Action.OBSERVE),
        },
    ),
    "a dead daemon": (
        NoticeKind.OPENED,
        {
            "scope": "platform",
            "title": "alive failed on platform/dagster_daemon",
            "severity": Severity.ERROR,
            "failing": ("platform/dagster_daemon:alive",),
            "checks": ("platform/dagster_daemon:alive",),
            "description": "no sign of life from sensor for 130 s",
            "state": State.WATCHING,
            "remedy": Remedy(Action.OBSERVE),
        },
    ),
    "the budget is spent": (
        NoticeKind.ESCALATED,
        {"state": State.ESCALATED, "remedy": None, "attempts": (TRIED, BROKE)},
    ),
    "watched for too long": (NoticeKind.ESCALATED, {"state": State.ESCALATED, "remedy": None}),
    "resolved": (
        NoticeKind.RESOLVED,
        {
            "state": State.RESOLVED,
            "failing": (),
            "remedy": None,
            "resolved_at": NOON + timedelta(minutes=95),
            "attempts": (TRIED,),
        },
    ),
    "taken over": (
        NoticeKind.ACKNOWLEDGED,
        {
            "state": State.ACKNOWLEDGED,
            "remedy": None,
            "acknowledged_by": "sam",
            "note": "the exchange <ex-2> & I talk",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(case: str, snapshot: SnapshotAssertion) -> None:
    kind, changes = CASES[case]
    message = compose(make_notice(kind, **changes), ui_url=UI)
    assert text(message) == snapshot(name=f"{case}: line")
    assert document(message) == snapshot(name=f"{case}: document")
    assert slack_blocks(message) == snapshot(name=f"{case}: blocks")


def test_what_was_written_by_others_is_masked() -> None:
    notice = make_notice(
        NoticeKind.ACKNOWLEDGED,
        description="10.9.8.7 said hunter2",
        note="hunter2",
        title="hunter2 failed",
        attempts=(Attempt(1, REPAIR, NOON, NOON, None, False, "hunter2"),),
    )
    said = str(document(compose(notice, ui_url=UI, mask=lambda t: t.replace("hunter2", "***"))))
    assert "hunter2" not in said


def test_slack_gets_no_more_than_it_takes() -> None:
    keys = tuple(f"lake/events/ad_impressions:check_{n}" for n in range(50))
    notice = make_notice(
        title="t" * 500,
        description="d" * 9_000,
        failing=keys,
        checks=keys,
        attempts=tuple(
            Attempt(n, REPAIR, NOON, NOON, f"run-{n}", False, "x" * 500) for n in range(20)
        ),
    )
    blocks = slack_blocks(compose(notice, ui_url=UI))
    assert len(blocks) <= 50
    for block in blocks:
        for part in [block.get("text"), *block.get("elements", [])]:
            if part is not None:
                assert 0 < len(part["text"]) <= (150 if block["type"] == "header" else 3000)


@pytest.mark.parametrize(
    ("key", "url"),
    [
        (CHECK, "assets/lake/events/ad_impressions?view=checks&checkDetail=reject_share"),
        ("warehouse/published:freshness", "assets/warehouse/published"),
        ("ingest_ad_impressions/lane-0:run", "runs?q%5B0%5D=job%3Aingest_ad_impressions"),
        ("platform/dagster_daemon:alive", "deployment/daemons"),
        ("platform/ingest_loop:alive", "assets/platform/ingest_loop?view=checks&checkDetail=alive"),
    ],
)
def test_links_lead_to_the_page_of_what_failed(key: str, url: str) -> None:
    (link,) = compose(make_notice(failing=(key,), checks=(key,)), ui_url=UI).links
    assert link.url == f"http://dagster.example:3000/{url}"
