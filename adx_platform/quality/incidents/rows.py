"""Incidents, attempts and findings as rows, both ways.

Belongs here: the translation. Does not belong here: the tables (``database``) or transactions
(``store``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa

from adx_platform.errors import AdxError
from adx_platform.quality.incidents.documents import (
    remedy_document,
    remedy_from,
    windows_document,
    windows_from,
)
from adx_platform.quality.incidents.model import (
    Attempt,
    Budget,
    Finding,
    Incident,
    Severity,
    Source,
    State,
)

_PREFIX = "INC-"
# What the databases take as an integer.
_MOST_DIGITS = 9

Row: TypeAlias = sa.RowMapping


class UnknownIncident(AdxError):  # noqa: N818 - named for what it says, as its siblings are
    """There is no incident of this id."""


def incident_id(number: int) -> str:
    """The id that people see."""
    return f"{_PREFIX}{number:04d}"


def incident_number(text: str) -> int:
    """The number in an id; upper or lower case, with or without leading zeros.

    Raises:
        UnknownIncident: it is no id.
    """
    digits = text.strip().upper().removeprefix(_PREFIX)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise UnknownIncident(f"{text!r} is no incident id: they look like INC-0042")
    return int(digits)


def incident_values(incident: Incident) -> dict[str, Any]:
    """The row of ``incident`` in table ``incidents``, without its number."""
    return {
        "scope": incident.scope,
        "open_scope": None if incident.is_over else incident.scope,
        "title": incident.title,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "failing": list(incident.failing),
        "checks": list(incident.checks),
        "description": incident.description,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "resolved_at": incident.resolved_at,
        "windows": windows_document(incident.windows),
        "remedy": None if incident.remedy is None else remedy_document(incident.remedy),
        "next_attempt_at": incident.next_attempt_at,
        "acknowledged_by": incident.acknowledged_by,
        "note": incident.note,
        "max_attempts": incident.budget.max_attempts,
        "first_pause_seconds": incident.budget.first_pause.total_seconds(),
        "watch_for_seconds": incident.budget.watch_for.total_seconds(),
        "escalated_at": incident.escalated_at,
        "acknowledged_at": incident.acknowledged_at,
    }


def incident_from(row: Row, attempts: Iterable[Row]) -> Incident:
    """The incident of a row and of the rows of its attempts, oldest first."""
    return Incident(
        incident_id=incident_id(row["number"]),
        scope=row["scope"],
        title=row["title"],
        state=State(row["state"]),
        severity=Severity(row["severity"]),
        failing=tuple(row["failing"]),
        checks=tuple(row["checks"]),
        description=row["description"],
        opened_at=row["opened_at"],
        updated_at=row["updated_at"],
        resolved_at=row["resolved_at"],
        windows=windows_from(row["windows"]),
        remedy=None if row["remedy"] is None else remedy_from(row["remedy"]),
        attempts=tuple(attempt_from(attempt) for attempt in attempts),
        next_attempt_at=row["next_attempt_at"],
        acknowledged_by=row["acknowledged_by"],
        note=row["note"],
        budget=Budget(
            max_attempts=row["max_attempts"],
            first_pause=timedelta(seconds=row["first_pause_seconds"]),
            watch_for=timedelta(seconds=row["watch_for_seconds"]),
        ),
        escalated_at=row["escalated_at"],
        acknowledged_at=row["acknowledged_at"],
    )


def attempt_values(attempt: Attempt) -> dict[str, Any]:
    """The row of ``attempt`` in table ``attempts``, without its incident."""
    return {
        "number": attempt.number,
        "remedy": remedy_document(attempt.remedy),
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "run_id": attempt.run_id,
        "succeeded": attempt.succeeded,
        "detail": attempt.detail,
        "passed_after": attempt.passed_after,
        "checks": list(attempt.checks),
    }


def attempt_from(row: Row) -> Attempt:
    """The attempt of a row."""
    return Attempt(
        number=row["number"],
        remedy=remedy_from(row["remedy"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        run_id=row["run_id"],
        succeeded=row["succeeded"],
        detail=row["detail"],
        passed_after=row["passed_after"],
        checks=tuple(row["checks"]),
    )


def finding_values(finding: Finding) -> dict[str, Any]:
    """The row of ``finding`` in table ``findings_seen``."""
    return {
        "key": finding.key,
        "source": finding.source.value,
        "subject": finding.subject,
        "name": finding.name,
        "passed": finding.passed,
        "severity": finding.severity.value,
        "description": finding.description,
        "at": finding.at,
        "run_id": finding.run_id,
        "windows": windows_document(finding.windows),
        "remedy": None if finding.remedy is None else remedy_document(finding.remedy),
    }


def finding_from(row: Row) -> Finding:
    """The finding of a row."""
    return Finding(
        source=Source(row["source"]),
        subject=row["subject"],
        name=row["name"],
        passed=row["passed"],
        severity=Severity(row["severity"]),
        description=row["description"],
        at=row["at"],
        run_id=row["run_id"],
        windows=windows_from(row["windows"]),
        remedy=None if row["remedy"] is None else remedy_from(row["remedy"]),
    )
