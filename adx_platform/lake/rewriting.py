"""Writing the rows of several files of a table again, as one sorted file.

Belongs here: reading, sorting and writing one merge, with bounded memory, and the log's actions for
it. Does not belong here: which files (``merging``), or the commit (``maintenance``).

More rows than fit are sorted a span of the sort key at a time: the bounds of the spans come from a
read of that one column, and each span becomes row groups of the file. What is in memory then is one
span, whatever the size of the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from adx_platform.lake.errors import LakeError
from adx_platform.lake.file_statistics import FileStatistics
from adx_platform.lake.files import LakeFiles
from adx_platform.lake.merging import LiveFile, Merge
from adx_platform.lake.tables import RAW_STATISTICS, LakeTable, raw_table

SPAN_BYTES: Final = 64 * 1024 * 1024
"""Decoded bytes that are sorted at a time; the process peaks at several times as much."""

# Decoded size over file size; measured on the simulator's traffic: 3 to 9.
_DECODED: Final = 10
_ROW_GROUP: Final = 100_000
_FEWEST: Final = 1_000
_ARRIVAL: Final = ("topic_id", "partition", "offset")
_EVENT_TIME: Final = pl.coalesce("event_time", "kafka_timestamp")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One merge that was written and is not committed yet."""

    merge: Merge
    path: str
    size: int
    rows: int
    stats: str

    def actions(self) -> list[AddAction | RemoveAction]:
        """The log's actions: the new file instead of the old ones, with no change of data."""
        now = int(time.time() * 1000)
        partition = dict(self.merge[0].partition)
        added = AddAction(self.path, self.size, partition, now, False, self.stats)
        return [
            added,
            *(
                RemoveAction(file.path, False, now, file.size, dict(file.partition))
                for file in self.merge
            ),
        ]


def is_raw(table: LakeTable) -> bool:
    """Whether the table is a landing."""
    return table.name.startswith(raw_table(table.storage, "").name)


def live_files(table: LakeTable, handle: DeltaTable) -> list[LiveFile]:
    """The active files of ``handle``'s version; those without statistics are left out."""
    actions = pl.DataFrame(handle.get_add_actions(flatten=True))
    names = list(table.partition_by)
    return [
        LiveFile(
            path=row["path"],
            size=row["size_bytes"],
            rows=row["num_records"],
            partition={name: _text(row[f"partition.{name}"]) for name in names},
            begins=(row.get("min.partition") or 0, row.get("min.offset") or 0),
        )
        for row in actions.iter_rows(named=True)
        if row["num_records"] is not None
    ]


def rewrite(
    table: LakeTable, handle: DeltaTable, merge: Merge, *, span_bytes: int = SPAN_BYTES
) -> Rewritten:
    """Write the rows of ``merge`` into a new file: raw rows by offset, events by event time.

    Nothing refers to the file until its actions are committed.

    Raises:
        LakeError: the files do not hold as many rows as the log says; the new file is no good.
        OSError, PolarsError, ArrowException: the storage failed, or a file is damaged.
    """
    schema = pl.Schema(handle.schema())
    stored = pl.Schema({n: t for n, t in schema.items() if n not in table.partition_by})
    rows = _scan(table, merge, stored)
    parent = PurePosixPath(merge[0].path).parent
    path = str(parent / f"merged-{uuid4()}.parquet")
    files = LakeFiles(table.storage, table.storage.table_uri(table.name))
    stats = FileStatistics(table.statistics)
    spans = _spans(table, merge, rows, span_bytes)
    with files.create(path) as sink:
        writer: pq.ParquetWriter | None = None
        for span in spans:
            arrow = span.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                writer = pq.ParquetWriter(sink, arrow.schema, **_writer_options(table, arrow))
            writer.write_table(arrow, row_group_size=_ROW_GROUP)
            stats.add(span)
        if writer is not None:
            writer.close()
    wanted = sum(file.rows for file in merge)
    if stats.rows != wanted:
        raise LakeError(
            f"table {table.name}: {len(merge)} files hold {stats.rows:,} rows, but the log says "
            f"{wanted:,}. They were not merged; run `adx repair` for the stream."
        )
    size = files.states([path])[0].size
    return Rewritten(merge, path, size or 0, stats.rows, stats.document())


def _scan(table: LakeTable, merge: Merge, stored: pl.Schema) -> pl.LazyFrame:
    uri = table.storage.table_uri(table.name)
    if table.storage.is_hdfs:
        # polars has no HDFS client of its own; the Delta client's file system does.
        files = LakeFiles(table.storage, uri)
        return pl.scan_pyarrow_dataset(files.dataset([file.path for file in merge], stored))
    return pl.scan_parquet(
        [f"{uri}/{file.path}" for file in merge],
        schema=stored,
        hive_partitioning=False,
        # A file that is older than a column, or than a field of one, has none of it.
        missing_columns="insert",
        cast_options=pl.ScanCastOptions(missing_struct_fields="insert"),
        storage_options=table.storage.scan_options,
    )


def _spans(
    table: LakeTable, merge: Merge, rows: pl.LazyFrame, span_bytes: int
) -> Iterator[pl.DataFrame]:
    """The rows in order, in frames that are small enough."""
    decoded = sum(file.size for file in merge) * _DECODED
    total = sum(file.rows for file in merge)
    most = max(_FEWEST, total * span_bytes // max(1, decoded))
    if is_raw(table):
        order: tuple[pl.Expr | str, ...] = _ARRIVAL
        lanes = rows.select("topic_id", "partition").unique().sort(pl.all()).collect().rows()
        parts = [(_one_partition(rows, *lane), pl.col("offset")) for lane in lanes]
    else:
        order = (_EVENT_TIME, *_ARRIVAL)
        parts = [(rows, _EVENT_TIME)]
    if total <= most:
        yield rows.sort(order).collect()
        return
    for part, key in parts:
        for within in _bounds(part, key, most):
            yield part.filter(within).sort(order).collect()


def _one_partition(rows: pl.LazyFrame, topic_id: str, partition: int) -> pl.LazyFrame:
    return rows.filter(pl.col("topic_id") == topic_id, pl.col("partition") == partition)


def _bounds(rows: pl.LazyFrame, key: pl.Expr, most: int) -> list[pl.Expr]:
    """Conditions on ``key`` that cut the rows into consecutive spans of about ``most`` rows."""
    keys = rows.select(key=key).collect()["key"].sort()
    cuts = keys.gather_every(most, offset=most).drop_nulls().unique().sort().to_list()
    if not cuts:
        return [pl.lit(value=True)]
    first = key.is_null() | (key < cuts[0])
    between = [(key >= low) & (key < high) for low, high in pairwise(cuts)]
    return [first, *between, key >= cuts[-1]]


def _writer_options(table: LakeTable, arrow: pa.Table) -> dict[str, Any]:
    names: Sequence[str] = arrow.schema.names
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 1,
        "store_schema": False,
    }
    if is_raw(table):
        # Keys and payloads are nearly all distinct: neither bounds nor a dictionary are of use.
        options["use_dictionary"] = [name for name in names if name not in {"key", "value"}]
        options["write_statistics"] = list(RAW_STATISTICS)
    return options


def _text(value: object) -> str | None:
    return None if value is None else str(value)
