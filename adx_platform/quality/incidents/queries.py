"""The queries of the store, each inside a transaction that the store has begun.

Belongs here: SQL about incidents, attempts and findings. Does not belong here: transactions
(``store``) or notices (``outbox``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from adx_platform.quality.incidents import lifecycle, outbox
from adx_platform.quality.incidents.database import attempts, findings_seen, incidents
from adx_platform.quality.incidents.model import Attempt, Finding, Incident
from adx_platform.quality.incidents.rows import (
    Row,
    UnknownIncident,
    attempt_from,
    attempt_values,
    finding_from,
    finding_values,
    incident_from,
    incident_number,
    incident_values,
)

LASTING = incidents.c.open_scope.is_not(None)
"""Which incidents are not over."""


def save(
    connection: sa.Connection, before: Incident | None, after: Incident, now: datetime
) -> None:
    """Write what changed of an incident, and the notices of the change."""
    if after == before:
        return
    number = incident_number(after.incident_id)
    values = incident_values(after)
    if before is None:
        connection.execute(sa.insert(incidents).values(number=number, **values))
    else:
        connection.execute(
            sa.update(incidents).where(incidents.c.number == number).values(**values)
        )
    known = {} if before is None else {attempt.number: attempt for attempt in before.attempts}
    for attempt in after.attempts:
        if attempt.number not in known:
            connection.execute(
                sa.insert(attempts).values(incident=number, **attempt_values(attempt))
            )
        elif attempt != known[attempt.number]:
            this_one = (attempts.c.incident == number) & (attempts.c.number == attempt.number)
            connection.execute(sa.update(attempts).where(this_one).values(attempt_values(attempt)))
    outbox.add(connection, number, lifecycle.notices(before, after), now)


def selected(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], limit: int | None = None
) -> list[Incident]:
    """Incidents with their attempts, newest first."""
    query = sa.select(incidents).where(wanted).order_by(incidents.c.number.desc()).limit(limit)
    rows = connection.execute(query).mappings().all()
    made: dict[int, list[Row]] = {row["number"]: [] for row in rows}
    if made:
        tried = (
            sa.select(attempts)
            .where(attempts.c.incident.in_(list(made)))
            .order_by(attempts.c.number)
        )
        for attempt in connection.execute(tried).mappings():
            made[attempt["incident"]].append(attempt)
    return [incident_from(row, made[row["number"]]) for row in rows]


def one(connection: sa.Connection, text: str) -> Incident:
    """The incident of this id.

    Raises:
        UnknownIncident: there is none.
    """
    found = selected(connection, incidents.c.number == incident_number(text))
    if not found:
        raise UnknownIncident(f"there is no incident {text}: `adx incidents ls --all` lists them")
    return found[0]


def has_running_attempt() -> sa.ColumnElement[bool]:
    """Which incidents have an attempt that has not ended."""
    return incidents.c.number.in_(
        sa.select(attempts.c.incident).where(attempts.c.ended_at.is_(None))
    )


def next_number(connection: sa.Connection) -> int:
    """The number of the next incident; nobody else takes it inside a writing transaction."""
    return int(connection.execute(sa.select(sa.func.max(incidents.c.number))).scalar() or 0) + 1


def recent_attempts(connection: sa.Connection, scope: str, now: datetime) -> list[Attempt]:
    """Attempts of a scope that count for the pause of its next incident."""
    query = (
        sa.select(attempts)
        .join(incidents, incidents.c.number == attempts.c.incident)
        .where(incidents.c.scope == scope, attempts.c.ended_at > now - lifecycle.RECURRENCE)
    )
    return [attempt_from(row) for row in connection.execute(query).mappings()]


def newest_findings(connection: sa.Connection, keys: Iterable[str]) -> dict[str, Finding]:
    """The newest finding of each check that has one."""
    query = sa.select(findings_seen).where(findings_seen.c.key.in_(list(keys)))
    return {row["key"]: finding_from(row) for row in connection.execute(query).mappings()}


def keep_finding(connection: sa.Connection, finding: Finding, *, is_new: bool) -> None:
    """Keep a finding as the newest of its check."""
    values = finding_values(finding)
    if is_new:
        connection.execute(sa.insert(findings_seen).values(**values))
    else:
        this_one = findings_seen.c.key == finding.key
        connection.execute(sa.update(findings_seen).where(this_one).values(**values))
