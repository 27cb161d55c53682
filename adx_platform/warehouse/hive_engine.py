"""The Hive engine: hourly copies in a folder, shown by a metastore behind HiveServer2.

Belongs here: how the interface of ``base`` is kept without transactions. Does not belong here:
copies and versions (``hive_store``), the metastore (``hive_catalog``), which row is where
(``hive_rows``), what is loaded (``loader``) or past its retention (``hive_retention``).

A load writes new copies of what it touches, commits one version that names them, and then swaps the
metastore's locations. Killed before the commit, nothing happened; killed after it, the next writer
finishes the swaps before it does anything else. See docs/decisions/0013-hive-loads.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self

import polars as pl

from adx_platform import faultpoints
from adx_platform.settings import Settings
from adx_platform.warehouse.base import (
    LoadBatch,
    LoadRange,
    LoadReceipt,
    TopicPartition,
    WarehouseError,
)
from adx_platform.warehouse.expired_offsets import cut_runs
from adx_platform.warehouse.frames import conform
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.hive_rows import (
    hour_of,
    is_replaced,
    may_hold,
    removed_keys,
    table_rows,
)
from adx_platform.warehouse.hive_sql import HOUR_COLUMN, count_days, drop_days, truncate
from adx_platform.warehouse.hive_store import WHOLE, Changes, Copy, HiveStore
from adx_platform.warehouse.load_rules import (
    check_build,
    check_ranges,
    cursor_rows,
    range_rows,
    reference_table,
    tables_of,
)
from adx_platform.warehouse.tables import (
    BUILDS,
    CURSORS,
    EXPIRED_OFFSETS,
    GAPS,
    LOAD_RANGES,
    LOADS,
    REFERENCE_LOADS,
    REMOVED_ROWS,
    Table,
)

_PORT = 10_000


class HiveWarehouse:
    """A warehouse of Parquet copies; it holds the folder's lock while it is open."""

    def __init__(self, store: HiveStore, catalog: HiveCatalog) -> None:
        """Take over both, which :meth:`close` closes.

        Raises:
            WarehouseError: the metastore shows a version that the folder does not have.
        """
        self._store = store
        self._catalog = catalog
        self._version = store.latest()

    @classmethod
    def from_settings(cls, settings: Settings, wait_seconds: float = 0.0) -> Self:
        """Take the folder's lock and connect, as ``settings`` say.

        Raises:
            WarehouseBusyError: another process still has the folder.
            WarehouseError: PyHive is not installed, or no HiveServer2 answers.
        """
        section = settings.warehouse
        folder = section.copies_dir or settings.home / "warehouse" / "hive"
        store = HiveStore(folder, wait_seconds=wait_seconds)
        try:
            catalog = HiveCatalog(
                section.host or "localhost",
                section.port or _PORT,
                section.user or "adx",
                section.password.get_secret_value() if section.password else None,
            )
        except WarehouseError:
            store.close()
            raise
        return cls(store, catalog)

    def __enter__(self) -> Self:
        """Use the warehouse in a ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the warehouse."""
        self.close()

    def close(self) -> None:
        """End the session and free the lock; closing twice is fine."""
        self._catalog.close()
        self._store.close()

    def ensure_schema(self) -> None:
        """Create what is missing, finish swaps that were broken off, delete copies of no use."""
        self._catalog.create(self._store)
        self._store.sweep(self.finish_swaps())

    def cursors(self, stream: str) -> dict[TopicPartition, int]:
        """Next offset to load of every partition that was ever loaded."""
        rows = self.rows(CURSORS).filter(pl.col("stream") == stream)
        chosen = rows.select("topic_id", "partition_id", "next_offset")
        return {TopicPartition(t, p): offset for t, p, offset in chosen.iter_rows()}

    def applied_restatements(self, stream: str) -> list[LoadRange]:
        """Every range of which a restatement is already in the raw tables."""
        rows = self.rows(LOAD_RANGES).filter(stream=stream, kind="restatement")
        names = ("topic_id", "partition_id", "start_offset", "end_offset", "revision")
        return sorted(LoadRange(*row) for row in rows.select(names).iter_rows())

    def load(self, batch: LoadBatch) -> LoadReceipt:
        """Apply ``batch`` in one version: all of it, or nothing."""
        tables = tables_of(batch)
        self.finish_swaps()
        check_ranges(batch, self.cursors(batch.stream))
        load_id = self.latest_load() + 1
        changes: Changes = {}
        inserted: dict[str, int] = {}
        removed: dict[str, int] = {}
        gone: list[pl.DataFrame] = []
        for name, table in tables.items():
            incoming = self._incoming(batch, table, load_id)
            taken = self._rewrite(table, batch, incoming, changes)
            if name in batch.frames:
                inserted[name] = incoming.height
            if batch.replaced:
                removed[name] = taken.height
            if table is not GAPS and not taken.is_empty():  # a gap has no key
                gone.append(removed_keys(table, taken, load_id))
        if batch.replaced:
            runs, days = cut_runs(self.rows(EXPIRED_OFFSETS), batch.stream, batch.replaced)
            if not days.is_empty():
                changes |= [self._whole(EXPIRED_OFFSETS, runs)]
                gone.append(removed_keys(EXPIRED_OFFSETS, days, load_id))
        changes |= self._control(batch, load_id, sum(inserted.values()), gone)
        faultpoints.reach("load.in_transaction")
        self._commit(changes)
        faultpoints.reach("load.after_commit")
        return LoadReceipt(load_id, inserted, removed)

    def load_reference(
        self, name: str, frame: pl.DataFrame, *, version: str, force: bool = False
    ) -> bool:
        """Replace reference table ``name`` by ``frame``, unless ``version`` is loaded already."""
        table = reference_table(name)
        self.finish_swaps()
        loads = self.rows(REFERENCE_LOADS)
        if not force and not loads.filter(table_name=name, version=version).is_empty():
            return False
        row = table_rows(REFERENCE_LOADS, [(name, version, _now(), frame.height)])
        others = loads.filter(pl.col("table_name") != name)
        self._commit(
            dict(
                [
                    self._whole(table, conform(frame, table)),
                    self._whole(REFERENCE_LOADS, pl.concat([others, row])),
                ]
            )
        )
        return True

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one query on the server; times come back as naive UTC."""
        return self._catalog.query(sql, parameters)

    def built_tables(self, schema: str) -> list[str]:
        """Names of the tables, views aside, of ``schema``."""
        return self._catalog.tables(schema)

    def views_made_from(self, project: str) -> frozenset[str]:  # noqa: ARG002 the protocol's
        """None: all are made again."""
        return frozenset()

    def latest_load(self) -> int:
        """The highest load_id committed; 0 when nothing was loaded."""
        return _highest(self.rows(LOADS), "load_id")

    def completed_load(self) -> int:
        """The highest load_id that a full green build included; 0 when there was none."""
        return _highest(self.rows(BUILDS), "to_load_id")

    def record_build(self, build_id: str, to_load_id: int) -> None:
        """Note that a full green build included every load up to ``to_load_id``."""
        self.finish_swaps()
        builds = self.rows(BUILDS)
        recorded = builds.filter(build_id=build_id).select("to_load_id").rows()
        if check_build(build_id, to_load_id, self.latest_load(), recorded):
            row = table_rows(BUILDS, [(build_id, to_load_id, _now())])
            self._commit(dict([self._whole(BUILDS, pl.concat([builds, row]))]))

    def hours(self, table: Table) -> list[str]:
        """Hours of which a raw table has a copy, as ``hive_rows.hour_of`` names them."""
        return sorted(hour for name, hour in self._version.slots if name == table.qualified_name)

    def rows(self, table: Table, hour: str = WHOLE) -> pl.DataFrame:
        """The rows of one hour of a raw table, or all of another one; none without a copy."""
        return self._rows_of(table, self._version.slots.get((table.qualified_name, hour)))

    def columns(self, table: Table, hour: str, names: Sequence[str]) -> pl.DataFrame:
        """Columns ``names``, which every copy has, of an hour that has one."""
        return self._store.read(self._version.slots[table.qualified_name, hour], names)

    def change(
        self,
        frames: Iterable[tuple[Table, str, pl.DataFrame]],
        added: Iterable[tuple[Table, pl.DataFrame]],
    ) -> None:
        """Make ``(table, hour, rows)`` the rows of these hours and tables, all in one version.

        Frames are written one by one as they come.

        Args:
            frames: an hour without rows loses its partition.
            added: rows that whole tables have besides theirs, which are not copied for it.
        """
        self.finish_swaps()
        changes: Changes = {}
        for table, frame in added:
            key = (table.qualified_name, WHOLE)
            changes[key] = self._store.write(*key, frame, after=self._version.slots.get(key))
        for table, hour, frame in frames:
            name, is_gone = table.qualified_name, hour != WHOLE and frame.is_empty()
            changes[name, hour] = None if is_gone else self._store.write(name, hour, frame)
        self._commit(changes)

    def count_days(self, name: str, column: str, before: date) -> dict[date, int]:
        """Rows of each day before ``before`` of a model that is partitioned by ``column``."""
        return dict(self.query(count_days(name, column, before)).rows())

    def drop_days(self, name: str, column: str, days: Sequence[date]) -> None:
        """Delete ``days`` of a model that is partitioned by ``column``; again is no error."""
        self._catalog.run(drop_days(name, column, days))

    def forget_removed(self, names: Collection[str], values: Collection[str]) -> None:
        """Empty the columns ``names`` of ``control.removed_rows`` where they are in ``values``."""
        self.finish_swaps()
        rows = self.rows(REMOVED_ROWS)
        wanted = [name for name in names if name in rows.columns]
        there = pl.any_horizontal(pl.col(name).is_in(values) for name in wanted)
        if rows.filter(there).is_empty():
            return
        emptied = rows.with_columns(
            pl.when(~pl.col(name).is_in(values)).then(name).alias(name) for name in wanted
        )
        self._commit(dict([self._whole(REMOVED_ROWS, emptied)]))

    def empty_model(self, name: str) -> None:
        """Take all rows out of a table that dbt made, with its schema in ``name``."""
        self._catalog.run(truncate(name))

    def drop_former_copies(self) -> None:
        """Delete at once what no longer belongs to a table; a query on it fails."""
        self._store.sweep(self.finish_swaps(), kept_seconds=0)

    def finish_swaps(self) -> int:
        """Swap what a killed writer had committed and not swapped; the version that is shown.

        Raises:
            WarehouseError: the metastore shows a version that the folder does not have.
        """
        applied = self._catalog.applied()
        if applied > self._version.number:
            raise WarehouseError(
                f"the metastore shows version {applied}, the folder {self._store.root} has only "
                f"{self._version.number}: ADX_WAREHOUSE__COPIES_DIR is not this metastore's folder"
            )
        if applied < self._version.number:
            self._catalog.bring_to(self._store, self._store.version(applied), self._version)
        return self._version.number

    def _commit(self, changes: Changes) -> None:
        before = self._version
        self._version = self._store.commit(before, changes)
        faultpoints.reach("hive.before_swaps")
        self._catalog.bring_to(self._store, before, self._version)

    def _incoming(self, batch: LoadBatch, table: Table, load_id: int) -> pl.DataFrame:
        frame = batch.frames.get(table.name)
        if frame is None:
            return table_rows(table, [])
        return conform(frame.with_columns(load_id=pl.lit(load_id, pl.Int64)), table)

    def _rewrite(
        self, table: Table, batch: LoadBatch, incoming: pl.DataFrame, changes: Changes
    ) -> pl.DataFrame:
        """Write the copies of ``table`` that the batch touches; the rows that it takes out."""
        arriving = {
            str(hour): frame
            for (hour,), frame in incoming.with_columns(hour_of(table))
            .partition_by(HOUR_COLUMN, as_dict=True, include_key=False)
            .items()
        }
        name = table.qualified_name
        slots = self._version.slots
        touched = {
            hour for (of, hour), copy in slots.items() if of == name and may_hold(copy, batch)
        }
        taken = [table_rows(table, [])]
        for hour in sorted(touched | set(arriving)):
            old = self._rows_of(table, slots.get((name, hour)))
            out = is_replaced(table, batch)
            gone, kept = old.filter(out), old.filter(~out)
            if gone.is_empty() and hour not in arriving:
                continue
            taken.append(gone)
            frame = pl.concat([kept, arriving.get(hour, kept.clear())])
            changes[name, hour] = self._store.write(name, hour, frame)
        return pl.concat(taken)

    def _control(
        self, batch: LoadBatch, load_id: int, row_count: int, gone: list[pl.DataFrame]
    ) -> Changes:
        load = (load_id, batch.stream, batch.lake_version, _now(), row_count)
        ranges = range_rows(batch, load_id)
        cursors = table_rows(CURSORS, cursor_rows(batch, load_id))
        kept = self.rows(CURSORS).join(
            cursors, on=["stream", "topic_id", "partition_id"], how="anti"
        )
        changes = [
            self._whole(LOADS, pl.concat([self.rows(LOADS), table_rows(LOADS, [load])])),
            self._whole(CURSORS, pl.concat([kept, cursors])),
        ]
        if ranges:
            both = [self.rows(LOAD_RANGES), table_rows(LOAD_RANGES, ranges)]
            changes.append(self._whole(LOAD_RANGES, pl.concat(both)))
        if gone:
            changes.append(self._whole(REMOVED_ROWS, pl.concat([self.rows(REMOVED_ROWS), *gone])))
        return dict(changes)

    def _whole(self, table: Table, frame: pl.DataFrame) -> tuple[tuple[str, str], Copy]:
        name = table.qualified_name
        return (name, WHOLE), self._store.write(name, WHOLE, frame)

    def _rows_of(self, table: Table, copy: Copy | None) -> pl.DataFrame:
        empty = table_rows(table, [])
        if copy is None:
            return empty
        # A copy from before a column was added has nulls in it.
        return pl.concat([empty, self._store.read(copy)], how="diagonal").select(empty.columns)


def _highest(frame: pl.DataFrame, name: str) -> int:
    return max(frame[name].to_list(), default=0)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
