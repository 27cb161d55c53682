"""The Hive engine: hourly copies in a folder, shown by a metastore behind HiveServer2.

Belongs here: how the interface of ``base`` is kept without transactions. Does not belong here:
copies and versions (``hive_store``), the metastore (``hive_catalog``), what is loaded (``loader``).

A load writes new copies of what it touches, commits one version that names them, and then swaps the
metastore's locations. Killed before the commit, nothing happened; killed after it, the next writer
finishes the swaps before it does anything else. See docs/decisions/0013-hive-loads.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
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
from adx_platform.warehouse.frames import conform
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.hive_sql import HOUR_COLUMN, truncate
from adx_platform.warehouse.hive_store import WHOLE, Copy, HiveStore, Slots
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
    GAPS,
    LOAD_RANGES,
    LOADS,
    REFERENCE_LOADS,
    REMOVED_ROWS,
    Table,
)

_NO_HOUR = "none"
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
        self._store.sweep(self._finish())

    def cursors(self, stream: str) -> dict[TopicPartition, int]:
        """Next offset to load of every partition that was ever loaded."""
        rows = self._read(CURSORS).filter(pl.col("stream") == stream)
        chosen = rows.select("topic_id", "partition_id", "next_offset")
        return {TopicPartition(t, p): offset for t, p, offset in chosen.iter_rows()}

    def applied_restatements(self, stream: str) -> list[LoadRange]:
        """Every range of which a restatement is already in the raw tables."""
        rows = self._read(LOAD_RANGES).filter(stream=stream, kind="restatement")
        names = ("topic_id", "partition_id", "start_offset", "end_offset", "revision")
        return sorted(LoadRange(*row) for row in rows.select(names).iter_rows())

    def load(self, batch: LoadBatch) -> LoadReceipt:
        """Apply ``batch`` in one version: all of it, or nothing."""
        tables = tables_of(batch)
        self._finish()
        check_ranges(batch, self.cursors(batch.stream))
        load_id = self.latest_load() + 1
        changes: Slots = {}
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
                gone.append(_removed_keys(table, taken, load_id))
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
        self._finish()
        loads = self._read(REFERENCE_LOADS)
        if not force and not loads.filter(table_name=name, version=version).is_empty():
            return False
        row = _rows(REFERENCE_LOADS, [(name, version, _now(), frame.height)])
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

    def latest_load(self) -> int:
        """The highest load_id committed; 0 when nothing was loaded."""
        return _highest(self._read(LOADS), "load_id")

    def completed_load(self) -> int:
        """The highest load_id that a full green build included; 0 when there was none."""
        return _highest(self._read(BUILDS), "to_load_id")

    def record_build(self, build_id: str, to_load_id: int) -> None:
        """Note that a full green build included every load up to ``to_load_id``."""
        self._finish()
        builds = self._read(BUILDS)
        recorded = builds.filter(build_id=build_id).select("to_load_id").rows()
        if check_build(build_id, to_load_id, self.latest_load(), recorded):
            row = _rows(BUILDS, [(build_id, to_load_id, _now())])
            self._commit(dict([self._whole(BUILDS, pl.concat([builds, row]))]))

    def forget_removed(self, names: Collection[str], values: Collection[str]) -> None:
        """Empty the columns ``names`` of ``control.removed_rows`` where they are in ``values``."""
        self._finish()
        rows = self._read(REMOVED_ROWS)
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
        self._store.sweep(self._finish(), kept_seconds=0)

    def _finish(self) -> int:
        """Swap what a killed writer had committed and not swapped."""
        applied = self._catalog.applied()
        if applied > self._version.number:
            raise WarehouseError(
                f"the metastore shows version {applied}, the folder {self._store.root} has only "
                f"{self._version.number}: ADX_WAREHOUSE__COPIES_DIR is not this metastore's folder"
            )
        if applied < self._version.number:
            self._catalog.bring_to(self._store, self._store.version(applied), self._version)
        return self._version.number

    def _commit(self, changes: Slots) -> None:
        before = self._version
        self._version = self._store.commit(before, changes)
        faultpoints.reach("hive.before_swaps")
        self._catalog.bring_to(self._store, before, self._version)

    def _incoming(self, batch: LoadBatch, table: Table, load_id: int) -> pl.DataFrame:
        frame = batch.frames.get(table.name)
        if frame is None:
            return _rows(table, [])
        return conform(frame.with_columns(load_id=pl.lit(load_id, pl.Int64)), table)

    def _rewrite(
        self, table: Table, batch: LoadBatch, incoming: pl.DataFrame, changes: Slots
    ) -> pl.DataFrame:
        """Write the copies of ``table`` that the batch touches; the rows that it takes out."""
        arriving = {
            str(hour): frame
            for (hour,), frame in incoming.with_columns(_hour(table))
            .partition_by(HOUR_COLUMN, as_dict=True, include_key=False)
            .items()
        }
        name = table.qualified_name
        slots = self._version.slots
        touched = {hour for (of, hour), copy in slots.items() if of == name and _in(copy, batch)}
        taken = [_rows(table, [])]
        for hour in sorted(touched | set(arriving)):
            old = self._rows_of(table, slots.get((name, hour)))
            out = _replaced(table, batch)
            gone, kept = old.filter(out), old.filter(~out)
            if gone.is_empty() and hour not in arriving:
                continue
            taken.append(gone)
            frame = pl.concat([kept, arriving.get(hour, kept.clear())])
            changes[name, hour] = self._store.write(name, hour, frame)
        return pl.concat(taken)

    def _control(
        self, batch: LoadBatch, load_id: int, row_count: int, gone: list[pl.DataFrame]
    ) -> Slots:
        load = (load_id, batch.stream, batch.lake_version, _now(), row_count)
        ranges = range_rows(batch, load_id)
        cursors = _rows(CURSORS, cursor_rows(batch, load_id))
        kept = self._read(CURSORS).join(
            cursors, on=["stream", "topic_id", "partition_id"], how="anti"
        )
        changes = [
            self._whole(LOADS, pl.concat([self._read(LOADS), _rows(LOADS, [load])])),
            self._whole(CURSORS, pl.concat([kept, cursors])),
        ]
        if ranges:
            both = [self._read(LOAD_RANGES), _rows(LOAD_RANGES, ranges)]
            changes.append(self._whole(LOAD_RANGES, pl.concat(both)))
        if gone:
            changes.append(self._whole(REMOVED_ROWS, pl.concat([self._read(REMOVED_ROWS), *gone])))
        return dict(changes)

    def _whole(self, table: Table, frame: pl.DataFrame) -> tuple[tuple[str, str], Copy]:
        name = table.qualified_name
        return (name, WHOLE), self._store.write(name, WHOLE, frame)

    def _read(self, table: Table) -> pl.DataFrame:
        return self._rows_of(table, self._version.slots.get((table.qualified_name, WHOLE)))

    def _rows_of(self, table: Table, copy: Copy | None) -> pl.DataFrame:
        empty = _rows(table, [])
        if copy is None:
            return empty
        # A copy from before a column was added has nulls in it.
        return pl.concat([empty, self._store.read(copy)], how="diagonal").select(empty.columns)


def _hour(table: Table) -> pl.Expr:
    names = {column.name for column in table.columns}
    times = [pl.col(name) for name in ("event_time", "kafka_timestamp") if name in names]
    hour = pl.coalesce(times).dt.strftime("%Y-%m-%d-%H").fill_null(_NO_HOUR)
    return hour.alias(HOUR_COLUMN)


def _in(copy: Copy, batch: LoadBatch) -> bool:
    return any(
        (topic_id, partition) == part.key and low < part.end and high >= part.start
        for topic_id, partition, low, high in copy.spans
        for part in batch.replaced
    )


def _replaced(table: Table, batch: LoadBatch) -> pl.Expr:
    condition = pl.lit(False)
    for part in batch.replaced:
        condition |= (
            (pl.col("topic_id") == part.topic_id)
            & (pl.col("partition_id") == part.partition)
            & (pl.col("kafka_offset") >= part.start)
            & (pl.col("kafka_offset") < part.end)
        )
    if any(column.name == "stream" for column in table.columns):
        condition &= pl.col("stream") == batch.stream
    return condition


def _removed_keys(table: Table, taken: pl.DataFrame, load_id: int) -> pl.DataFrame:
    """Rows of ``control.removed_rows`` for the rows ``taken`` out of ``table``."""
    wanted = _rows(REMOVED_ROWS, []).schema
    fixed = {
        "load_id": pl.lit(load_id, pl.Int64).alias("load_id"),
        "table_name": pl.lit(table.name).alias("table_name"),
    }
    present = {name: pl.col(name) for name in taken.columns}
    return taken.select(
        {**present, **fixed}.get(name, pl.lit(None, dtype).alias(name))
        for name, dtype in wanted.items()
    )


def _rows(table: Table, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """A frame of ``table`` with naive times."""
    schema = {
        name: pl.Datetime("us") if isinstance(dtype, pl.Datetime) else dtype
        for name, dtype in table.frame_schema.items()
    }
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def _highest(frame: pl.DataFrame, name: str) -> int:
    return max(frame[name].to_list(), default=0)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
