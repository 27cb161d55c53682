"""Dagster's event log, read once from a cursor on: check results, ends of runs, freshness.

Belongs here: the queries and the cursor. Does not belong here: what an event says
(``incident_findings``).

``DagsterInstance.get_event_records`` cannot be used for check results on SQLite: it opens the
database of every run that changed, and never sees results that were reported outside of a run
(measured with Dagster 1.13.27). But every storage mirrors check results, ends of runs and freshness
changes into one indexed log with growing numbers, which the storage's base class reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from adx_platform.errors import AdxError

EVENT_TYPES: Final = (
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.FRESHNESS_STATE_CHANGE,
)

READ_AT_ONCE: Final = 500
"""Events of one type that one tick reads; what is more is read by the next one."""

OVERLAP: Final = 100
"""So many numbers are read again: Postgres hands numbers out before it shows their rows."""


class UnreadableEventLog(AdxError):  # noqa: N818 - named for what it says, as the others are
    """The instance keeps its events where they cannot be read in order."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events and where to go on.

    Attributes:
        entries: in the order of the log.
        cursor: number of the newest event that was read.
    """

    entries: tuple[dg.EventLogEntry, ...]
    cursor: int


def newest_event(instance: dg.DagsterInstance) -> int:
    """The number of the newest event; 0 in an empty log."""
    return _storage(instance).get_maximum_record_id() or 0


def events_after(
    instance: dg.DagsterInstance, cursor: int, *, limit: int = READ_AT_ONCE
) -> EventPage:
    """Events of :data:`EVENT_TYPES` after ``cursor``, and a few before it once more."""
    storage = _storage(instance)
    records: list[dg.EventLogRecord] = []
    full: list[int] = []
    for event_type in EVENT_TYPES:
        found = _read(storage, event_type, max(0, cursor - OVERLAP), limit + OVERLAP)
        records.extend(found)
        if len(found) == limit + OVERLAP:
            full.append(found[-1].storage_id)
    # Where one type has more, all go on from there: to read an event twice does no harm.
    newest = min(full, default=max((r.storage_id for r in records), default=cursor))
    records.sort(key=lambda record: record.storage_id)
    return EventPage(tuple(r.event_log_entry for r in records), max(cursor, newest))


def latest_evaluations(
    instance: dg.DagsterInstance, check_keys: Iterable[dg.AssetCheckKey]
) -> list[dg.EventLogEntry]:
    """The newest result of each check that has one, also of those that run again right now."""
    storage = _storage(instance)
    latest = storage.get_latest_asset_check_execution_by_key(list(check_keys))
    evaluated = [record.event for record in latest.values()]
    running = [key for key, record in latest.items() if not _is_evaluated(record.event)]
    for summary in storage.get_asset_check_summary_records(running).values():
        before = summary.last_completed_check_execution_record
        evaluated.append(None if before is None else before.event)
    return [event for event in evaluated if event is not None and _is_evaluated(event)]


def _is_evaluated(event: dg.EventLogEntry | None) -> bool:
    return (
        event is not None
        and event.dagster_event is not None
        and event.dagster_event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )


def _read(
    storage: SqlEventLogStorage, event_type: dg.DagsterEventType, after: int, limit: int
) -> Sequence[dg.EventLogRecord]:
    wanted = dg.EventRecordsFilter(event_type=event_type, after_cursor=after)
    return SqlEventLogStorage.get_event_records(storage, wanted, limit=limit, ascending=True)


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise UnreadableEventLog(
            f"the event log is a {type(storage).__name__}: incidents need Dagster's SQLite or "
            "Postgres storage (`storage:` in dagster.yaml)"
        )
    return storage
