"""`adx incidents` on a real database."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adx_platform.quality.incidents.model import Finding, Severity, Source
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import IncidentSettings, load_settings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SETTINGS = IncidentSettings(max_attempts=1)


def found(key: str, *, passed: bool = False, minute: int = 0) -> Finding:
    subject, _, name = key.rpartition(":")
    return Finding(
        source=Source.CHECK,
        subject=subject,
        name=name,
        passed=passed,
        severity=Severity.ERROR,
        description="file 7 [zstd] is torn",
        at=NOON + timedelta(minutes=minute),
    )


@pytest.fixture
def two_incidents(home: Path) -> None:
    """One that its only attempt did not mend, one that is over."""
    with IncidentStore.open(load_settings().incidents_url) as store:
        fx = "reference/fx_rates:reference_coverage"
        store.record([found(fx)], settings=SETTINGS, now=NOON)
        store.record([found(fx, passed=True, minute=1)], settings=SETTINGS, now=NOON)
        lake = "lake/events/ad_impressions:files_intact"
        store.record([found(lake, minute=2)], settings=SETTINGS, now=NOON + timedelta(minutes=2))
        store.begin_attempt("INC-0002", run_id="run-1", now=NOON + timedelta(minutes=3))
        store.end_attempt(
            "INC-0002",
            1,
            succeeded=True,
            detail="landed nothing [again]",
            now=NOON + timedelta(minutes=4),
        )
        store.record([found(lake, minute=5)], settings=SETTINGS, now=NOON + timedelta(minutes=5))


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if line.startswith("│")
    ]


def test_without_incidents_the_list_says_so(adx: Any) -> None:
    assert adx("incidents", "ls").stdout == "no incident lasts\n"
    assert adx("incidents", "ls", "--all").stdout == "no incidents\n"


@pytest.mark.usefixtures("two_incidents")
def test_the_list_has_what_lasts_and_with_all_the_rest(adx: Any) -> None:
    listed = adx("incidents", "ls")

    assert listed.code == 0
    ((first, state, *_rest),) = [row for row in rows(listed.stdout) if row[0]]
    assert (first, state) == ("INC-0002", "escalated")
    assert "1/1" in listed.stdout
    everything = adx("incidents", "ls", "--all", "--json").json
    assert [incident["incident_id"] for incident in everything] == ["INC-0002", "INC-0001"]
    assert [
        i["incident_id"] for i in adx("incidents", "ls", "--all", "--limit", "1", "--json").json
    ] == ["INC-0002"]


@pytest.mark.usefixtures("two_incidents")
def test_an_incident_is_shown_with_its_audit(adx: Any) -> None:
    shown = adx("incidents", "show", "INC-0002")

    assert shown.code == 0
    for words in (
        "files_intact failed on lake/events/ad_impressions",
        "escalated (error)",
        "file 7 [zstd] is torn",
        "1 of 1 attempts",
        "attempt 1: repair_lake ad_impressions",
        "afterwards: its checks still failed",
        "landed nothing [again]",
        "run run-1",
    ):
        assert words in shown.words
    document = adx("incidents", "show", "inc-2", "--json").json
    assert document["attempts"][0]["passed_after"] is False
    assert document["escalated_at"] == "2026-03-02T12:05:00+00:00"


@pytest.mark.usefixtures("two_incidents")
def test_an_incident_is_taken_over_by_name_or_by_the_user(adx: Any) -> None:
    taken = adx("incidents", "ack", "INC-0002", "--note", "disk replaced")

    assert taken.code == 0
    assert getpass.getuser() in taken.stdout
    again = adx("incidents", "ack", "INC-0002", "--by", "ann", "--json").json
    assert (again["state"], again["acknowledged_by"]) == ("acknowledged", "ann")
    assert again["note"] == "disk replaced"


@pytest.mark.usefixtures("two_incidents")
def test_what_cannot_be_shown_or_taken_over_is_said(adx: Any) -> None:
    over = adx("incidents", "ack", "INC-0001")
    unknown = adx("incidents", "show", "INC-0009")

    assert (over.code, unknown.code) == (1, 1)
    assert "INC-0001 is resolved" in over.stderr
    assert "adx incidents ls --all" in unknown.stderr


@pytest.mark.usefixtures("two_incidents")
def test_a_user_without_a_name_is_asked_for_one(adx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)

    refused = adx("incidents", "ack", "INC-0002")

    assert refused.code == 2
    assert "--by" in refused.stderr
