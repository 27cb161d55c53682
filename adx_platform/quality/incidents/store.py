"""The incidents of an installation, kept in a database that several processes share.

Belongs here: one short transaction for each thing that can happen. Does not belong here: what
happens then (``lifecycle``), the tables (``database``), or telling people (``observability``).

Sensors, runs, the command line and the resident loop open the same database. Whoever changes it
reads and writes in one transaction beside which there is no other writer, so that an attempt has
one winner and a scope one incident. A notice is written in the transaction of the change that it
tells of: it is neither lost nor told twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from pydantic import SecretStr

from adx_platform.quality.incidents import lifecycle, outbox, queries
from adx_platform.quality.incidents.database import incidents, open_engine, reading, writing
from adx_platform.quality.incidents.documents import windows_from
from adx_platform.quality.incidents.model import (
    Attempt,
    Budget,
    Finding,
    Incident,
    Notice,
    NoticeKind,
    SeriesWindow,
    State,
)
from adx_platform.quality.incidents.rows import UnknownIncident, incident_id
from adx_platform.quality.incidents.scopes import is_about_incidents, scope_of
from adx_platform.quality.incidents.windows import merged
from adx_platform.settings import IncidentSettings

__all__ = ["IncidentStore", "Notice", "NoticeKind", "UnknownIncident"]


class IncidentStore:
    """The incident database, opened; use it as a context manager."""

    def __init__(self, engine: sa.Engine) -> None:
        """Take over an engine whose tables exist; see :meth:`open`."""
        self._engine = engine

    @classmethod
    def open(cls, url: SecretStr) -> Self:
        """Connect to ``settings.incidents_url``, and create the tables that are missing.

        Raises:
            IncidentStoreError: the address is wrong or the database does not answer.
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Nothing happens before the first question."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def record(
        self, findings: Iterable[Finding], *, settings: IncidentSettings, now: datetime
    ) -> list[Incident]:
        """Take in what was found, and let time pass.

        A finding that is not newer than the newest of its check changes nothing, so that it may
        be recorded again and in any order.

        Args:
            findings: good and bad ones; those of the standing check are left out.
            settings: the budget of an incident that is opened now.
            now: UTC.

        Returns:
            The incidents that were opened, joined, resolved or changed, as they are now.
        """
        ordered = sorted(
            (f for f in findings if not is_about_incidents(f)), key=lambda finding: finding.at
        )
        if not ordered and not self._time_changes_something(now):
            return []
        budget = Budget(settings.max_attempts, settings.first_pause, settings.watch_for)
        changed: dict[str, Incident] = {}
        with writing(self._engine) as connection:
            newest = queries.newest_findings(connection, {finding.key for finding in ordered})
            lasting = {i.scope: i for i in queries.selected(connection, queries.LASTING)}
            for finding in ordered:
                known = newest.get(finding.key)
                if known is not None and finding.at <= known.at:
                    continue
                queries.keep_finding(connection, finding, is_new=known is None)
                newest[finding.key] = finding
                scope = scope_of(finding)
                after = _take_in(connection, lasting.get(scope), finding, budget, now)
                if after is not None:
                    changed[after.incident_id] = after
                    lasting[scope] = after
                    if after.is_over:
                        del lasting[scope]
            for incident in lasting.values():
                after = lifecycle.ticked(incident, now)
                if after != incident:
                    queries.save(connection, incident, after, now)
                    changed[after.incident_id] = after
        return list(changed.values())

    def incidents(
        self, *, states: Collection[State] | None = None, limit: int | None = None
    ) -> list[Incident]:
        """The incidents in ``states`` (or all), newest first."""
        wanted = (
            sa.true()
            if states is None
            else incidents.c.state.in_([state.value for state in states])
        )
        with reading(self._engine) as connection:
            return queries.selected(connection, wanted, limit)

    def get(self, incident_id: str) -> Incident:
        """One incident.

        Raises:
            UnknownIncident: there is none of this id.
        """
        with reading(self._engine) as connection:
            return queries.one(connection, incident_id)

    def acknowledge(
        self, incident_id: str, *, by: str, note: str | None, now: datetime
    ) -> Incident:
        """Give an incident into a person's hands: nothing more is tried, the check is quiet.

        Raises:
            UnknownIncident: there is none of this id.
            IncidentIsOver: it is resolved.
        """
        with writing(self._engine) as connection:
            before = queries.one(connection, incident_id)
            after = lifecycle.acknowledged(before, by=by, note=note, now=now)
            queries.save(connection, before, after, now)
            return after

    def begin_attempt(self, incident_id: str, *, run_id: str | None, now: datetime) -> Attempt:
        """Claim the next attempt; of several who ask one gets it.

        Raises:
            UnknownIncident: there is none of this id.
            NotDue: the checks pass again, somebody else was first, or the budget is spent.
        """
        with writing(self._engine) as connection:
            before = queries.one(connection, incident_id)
            after = lifecycle.begun(before, run_id=run_id, now=now)
            queries.save(connection, before, after, now)
            return after.attempts[-1]

    def end_attempt(
        self,
        incident_id: str,
        number: int,
        *,
        succeeded: bool,
        detail: str,
        now: datetime,
        run_id: str | None = None,
    ) -> Incident:
        """Write down how an attempt went; an attempt that has ended keeps its first end.

        ``run_id`` names its run where that was not known when it began.

        Raises:
            UnknownIncident: there is none of this id.
        """
        with writing(self._engine) as connection:
            before = queries.one(connection, incident_id)
            after = lifecycle.ended(
                before,
                number,
                succeeded=succeeded,
                detail=detail,
                newest=queries.newest_findings(connection, before.failing),
                now=now,
                run_id=run_id,
            )
            queries.save(connection, before, after, now)
            return after

    def due(self, now: datetime) -> list[Incident]:
        """Incidents whose remedy may start now, oldest first.

        Not beside an attempt of an earlier incident of the same scope: two remedies would work on
        the same tables.
        """
        waiting = (
            queries.LASTING
            & (incidents.c.state == State.OPEN.value)
            & (incidents.c.next_attempt_at <= now)
        )
        with reading(self._engine) as connection:
            found = [i for i in queries.selected(connection, waiting) if lifecycle.is_due(i, now)]
            busy = (
                {i.scope for i in queries.selected(connection, queries.has_running_attempt())}
                if found
                else ()
            )
        return [incident for incident in reversed(found) if incident.scope not in busy]

    def at_work(self) -> list[Incident]:
        """Incidents, also resolved ones, with an attempt that has not ended."""
        with reading(self._engine) as connection:
            return queries.selected(connection, queries.has_running_attempt())

    def unresolved(self) -> list[Incident]:
        """Escalated incidents that nobody has acknowledged, oldest first."""
        return list(reversed(self.incidents(states=[State.ESCALATED])))

    def windows(self) -> list[SeriesWindow]:
        """The points of series that any incident covers, resolved or not."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(incidents.c.windows)).all()
        return list(merged(w for row in rows for w in windows_from(row.windows)))

    def pending_notices(self) -> list[Notice]:
        """What people are still to be told, oldest first; see :meth:`settle`."""
        with reading(self._engine) as connection:
            rows = outbox.pending(connection)
            numbers = {row["incident"] for row in rows}
            by_id = {
                i.incident_id: i
                for i in queries.selected(connection, incidents.c.number.in_(numbers))
            }
            tried = outbox.deliveries_of(connection, [row["notice_id"] for row in rows])
        return [
            Notice(
                notice_id=row["notice_id"],
                kind=NoticeKind(row["kind"]),
                incident=by_id[incident_id(row["incident"])],
                created_at=row["created_at"],
                deliveries=tried.get(row["notice_id"], ()),
            )
            for row in rows
        ]

    def delivered(self, notice_id: str, channel: str, *, now: datetime) -> None:
        """Note that ``channel`` has taken a notice."""
        with writing(self._engine) as connection:
            outbox.note_delivery(connection, notice_id, channel, reason=None, now=now)

    def failed(self, notice_id: str, channel: str, reason: str, *, now: datetime) -> None:
        """Note that ``channel`` did not take a notice, and why."""
        with writing(self._engine) as connection:
            outbox.note_delivery(connection, notice_id, channel, reason=reason, now=now)

    def settle(self, notice_id: str, *, now: datetime) -> None:
        """Take a notice out of :meth:`pending_notices`: every channel has it, or was given up.

        Which channels there are is known to whoever delivers, not here.
        """
        with writing(self._engine) as connection:
            outbox.settle(connection, notice_id, now)

    def _time_changes_something(self, now: datetime) -> bool:
        with reading(self._engine) as connection:
            lasting = queries.selected(connection, queries.LASTING)
        return any(lifecycle.ticked(incident, now) != incident for incident in lasting)


def _take_in(
    connection: sa.Connection,
    incident: Incident | None,
    finding: Finding,
    budget: Budget,
    now: datetime,
) -> Incident | None:
    """The incident that the finding opened or changed, saved; null where it did neither."""
    if incident is None:
        if finding.passed:
            return None
        after = lifecycle.opened(
            finding,
            incident_id=incident_id(queries.next_number(connection)),
            budget=budget,
            now=now,
            earlier=queries.recent_attempts(connection, scope_of(finding), now),
        )
    else:
        newest = queries.newest_findings(connection, incident.failing)
        after = lifecycle.joined(incident, finding, newest, now)
        if after == incident:
            return None
    queries.save(connection, incident, after, now)
    return after
