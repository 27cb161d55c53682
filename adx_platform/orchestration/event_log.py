"""Removing what is old from Dagster's event log, and never what is the newest of its kind.

Belongs here: the statements, for SQLite (one file per run, an index of all assets, and a file for
what has no run) and for any store in one database (Postgres). Does not belong here: when it runs
(``event_log_purge``).

Dagster has no interface for this: it deletes runs, and nothing that came without one. The tables
used here are those of 1.13; a test reads everything back through Dagster's own interface.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage

from adx_platform.folder_size import bytes_in
from adx_platform.orchestration.kept_connections import close_files

logger = logging.getLogger(__name__)

FINISHED: Final = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)
# A writer that waits for a purge waits for one such piece.
_PIECE: Final = 1_000
_WORTH_A_VACUUM: Final = 0.25
_WORTH_BYTES: Final = 16 * 1024 * 1024
_VACUUM_WAIT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What was removed.

    Attributes:
        runs: finished runs with their events.
        events: events without a run.
        check_results: rows of check history, of runs and without.
        freed_bytes: given back to the file system.
    """

    runs: int
    events: int
    check_results: int
    freed_bytes: int


def purge(
    instance: dg.DagsterInstance, *, runs_before: datetime, events_before: datetime
) -> PurgeReport:
    """Remove old runs, and old materialisations and check results that no run made.

    Whatever is the newest of its asset, partition and kind, or of its check, stays, and with it the
    run that made it: the UI shows the same state as before, with a shorter history.

    Args:
        instance: its event log must be an SQL one.
        runs_before: runs that ended are removed if they began before, with their events.
        events_before: what came without a run is removed if it came before.

    Raises:
        TypeError: the instance keeps its event log elsewhere.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"cannot purge an event log of {type(storage).__name__}: it is no SQL one")
    before = _size(storage)
    runs = _purge_runs(instance, storage, runs_before)
    checks = _purge_checks(storage, min(runs_before, events_before))
    events = _purge_index(storage, events_before)
    if storage.is_run_sharded:
        _purge_shard(storage, events_before)
    if isinstance(storage, SqliteEventLogStorage):
        for shard in ("index", RUNLESS_RUN_ID):
            _vacuum(Path(storage.path_for_shard(shard)))
    return PurgeReport(runs, events, checks, max(0, before - _size(storage)))


def _purge_runs(instance: dg.DagsterInstance, storage: SqlEventLogStorage, before: datetime) -> int:
    old = instance.get_run_ids(
        dg.RunsFilter(statuses=list(FINISHED), created_before=before.astimezone(UTC))
    )
    needed = _runs_of_newest(storage)
    removed = 0
    for run_id in old:
        if run_id in needed:
            continue
        instance.delete_run(run_id)
        removed += 1
        if isinstance(storage, SqliteEventLogStorage):
            # Dagster empties the run's own file and leaves it: 200 kB of nothing for each run.
            shard = Path(storage.path_for_shard(run_id))
            close_files(storage)
            for path in (shard, *(shard.with_name(shard.name + end) for end in ("-wal", "-shm"))):
                path.unlink(missing_ok=True)
    return removed


def _runs_of_newest(storage: SqlEventLogStorage) -> set[str]:
    """Runs that made the newest event of anything, or the newest result of a check."""
    events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    with storage.index_connection() as connection:
        made_events: sa.ScalarResult[str] = connection.execute(
            sa.select(events.run_id).where(
                events.asset_key.is_not(None), events.id.in_(_newest_events())
            )
        ).scalars()
        made_checks: sa.ScalarResult[str] = connection.execute(
            sa.select(checks.run_id).where(checks.id.in_(_newest_checks()))
        ).scalars()
        return {str(run_id) for run_id in (*made_events, *made_checks)}


def _purge_checks(storage: SqlEventLogStorage, before: datetime) -> int:
    checks = AssetCheckExecutionsTable.c
    old = sa.select(checks.id).where(
        checks.evaluation_event_timestamp < _naive(before), checks.id.not_in(_newest_checks())
    )
    removed = 0
    for ids in _pieces(storage, old):
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(checks.id.in_(ids)))
        removed += len(ids)
    return removed


def _purge_index(storage: SqlEventLogStorage, before: datetime) -> int:
    events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    kept_results = sa.select(checks.evaluation_event_storage_id).where(
        checks.evaluation_event_storage_id.is_not(None)
    )
    kept_targets = sa.select(checks.materialization_event_storage_id).where(
        checks.materialization_event_storage_id.is_not(None), checks.id.in_(_newest_checks())
    )
    old = sa.select(events.id).where(
        events.run_id == RUNLESS_RUN_ID,
        events.timestamp < _naive(before),
        events.id.not_in(_newest_events()),
        events.id.not_in(kept_results),
        events.id.not_in(kept_targets),
    )
    removed = 0
    for ids in _pieces(storage, old):
        with storage.index_connection() as connection:
            connection.execute(
                AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(ids))
            )
            connection.execute(SqlEventLogStorageTable.delete().where(events.id.in_(ids)))
        removed += len(ids)
    return removed


def _purge_shard(storage: SqlEventLogStorage, before: datetime) -> None:
    """The second copy of what has no run, which SQLite keeps in a file of its own."""
    events = SqlEventLogStorageTable.c
    old = sa.select(events.id).where(
        events.timestamp < _naive(before), events.id.not_in(_newest_events())
    )
    while True:
        with storage.run_connection(RUNLESS_RUN_ID) as connection:
            ids: list[int] = list(connection.execute(old.limit(_PIECE)).scalars())
            if not ids:
                return
            connection.execute(SqlEventLogStorageTable.delete().where(events.id.in_(ids)))


def _newest_events() -> sa.Select[Any]:
    """Ids of the newest event of each asset, partition and kind."""
    events = SqlEventLogStorageTable.c
    return sa.select(sa.func.max(events.id)).group_by(
        events.asset_key, events.partition, events.dagster_event_type
    )


def _newest_checks() -> sa.Select[Any]:
    """Ids of the newest row of each check, and of the newest that is more than a plan."""
    checks = AssetCheckExecutionsTable.c
    return sa.select(sa.func.max(checks.id)).group_by(
        checks.asset_key,
        checks.check_name,
        checks.partition,
        checks.execution_status == "PLANNED",
    )


def _pieces(storage: SqlEventLogStorage, old: sa.Select[Any]) -> Iterator[list[int]]:
    """The ids that ``old`` selects, a piece at a time."""
    with storage.index_connection() as connection:
        ids: list[int] = list(connection.execute(old).scalars())
    for start in range(0, len(ids), _PIECE):
        yield ids[start : start + _PIECE]


def _naive(moment: datetime) -> datetime:
    """Dagster stores UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _size(storage: SqlEventLogStorage) -> int:
    """Bytes of the event log's files; 0 where it is not in files."""
    if not isinstance(storage, SqliteEventLogStorage):
        return 0
    return bytes_in(Path(storage.path_for_shard("index")).parent)


def _vacuum(path: Path) -> None:
    """Give free pages back to the file system, where there are enough of them."""
    if not path.exists():
        return
    with closing(
        sqlite3.connect(path, timeout=_VACUUM_WAIT_SECONDS, isolation_level=None)
    ) as connection:
        free, pages, size = (
            int(connection.execute(f"pragma {name}").fetchone()[0])
            for name in ("freelist_count", "page_count", "page_size")
        )
        if free < pages * _WORTH_A_VACUUM or free * size < _WORTH_BYTES:
            return
        try:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.OperationalError as error:
            # Busy: its free pages are used again by what comes next.
            logger.warning("%s was not compacted: %s", path.name, error)
