"""Findings for the tests of incidents: made in one line each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from adx_platform.quality.incidents.model import (
    Finding,
    Remedy,
    SeriesWindow,
    Severity,
    Source,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENTS = "lake/events/ad_impressions"
MENDABLE = f"{EVENTS}:files_intact"
WATCHED = f"{EVENTS}:late_share"


def after(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def finding(
    key: str = MENDABLE,
    *,
    passed: bool = False,
    at: float = 0,
    severity: Severity = Severity.ERROR,
    source: Source = Source.CHECK,
    windows: tuple[SeriesWindow, ...] = (),
    remedy: Remedy | None = None,
) -> Finding:
    """A finding about ``key`` (subject and name), so many seconds after noon."""
    subject, _, name = key.rpartition(":")
    return Finding(
        source=source,
        subject=subject,
        name=name,
        passed=passed,
        severity=severity,
        description=f"{name} of {subject} {'passed' if passed else 'failed'}",
        at=after(at),
        windows=windows,
        remedy=remedy,
    )
