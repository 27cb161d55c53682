"""Refined events as rows of the raw warehouse tables: a pure function of a frame.

Belongs here: which row goes to which table, renames, and unfolding the offered impressions. Does
not belong here: reading the lake (``lake_source``) or writing (the engines).
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.columns import Column
from adx_platform.contracts.dispositions import GAP_DISPOSITIONS, Disposition
from adx_platform.contracts.envelope import ENVELOPE_COLUMNS
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.tables import (
    BID_REQUEST_IMPS,
    BID_REQUESTS,
    GAPS,
    IMP_COLUMNS,
    IMPS_COLUMN,
    RECORD_TABLES,
    REJECTS,
    RENAMED,
    Table,
    tables_of_stream,
)

_KEPT = (Disposition.ACCEPTED, Disposition.DUPLICATE, Disposition.CONFLICT)
_ADDED_BY_THE_LOADER = frozenset({"load_id", "stream"})


def needed_columns(stream: str) -> tuple[Column, ...]:
    """Columns of ``events/<stream>`` that :func:`project` reads, under their lake names.

    Raises:
        KeyError: no such stream.
    """
    lake_names = {new: old for old, new in RENAMED.items()}
    needed = {column.name: column for column in ENVELOPE_COLUMNS}
    for table in (table for table in tables_of_stream(stream) if table is not GAPS):
        if table is BID_REQUEST_IMPS:
            needed[IMPS_COLUMN.name] = IMPS_COLUMN
            continue
        for column in table.columns:
            name = lake_names.get(column.name, column.name)
            if name not in _ADDED_BY_THE_LOADER:
                needed.setdefault(name, column)
    return tuple(needed.values())


def project(stream: str, events: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Sort the rows of ``events/<stream>`` into the raw tables.

    Args:
        stream: name of the stream.
        events: rows with at least :func:`needed_columns`.

    Returns:
        A frame for every raw table of the stream, without ``load_id``; frames may be empty. Every
        input row is in exactly one of them (and its impressions in ``bid_request_imps``).

    Raises:
        WarehouseError: a row has a disposition or record type that has no table; nothing is dropped
            silently.
    """
    disposition = pl.col("disposition")
    # Lazily: a filter of a frame copies all of its columns, and a table needs a third of them.
    rows = events.lazy().rename(RENAMED).with_columns(stream=pl.lit(stream))
    kept = rows.filter(disposition.is_in([item.value for item in _KEPT]))
    gaps = rows.filter(disposition.is_in([item.value for item in GAP_DISPOSITIONS]))
    planned: dict[str, pl.LazyFrame] = {}
    for record_type, table in RECORD_TABLES[stream].items():
        of_type = kept.filter(pl.col("record_type") == record_type)
        planned[table.name] = of_type.select(_columns_of(table))
        if table is BID_REQUESTS:
            planned[BID_REQUEST_IMPS.name] = _unfold_imps(of_type)
    planned[REJECTS.name] = rows.filter(disposition == Disposition.REJECTED.value).select(
        _columns_of(REJECTS)
    )
    planned[GAPS.name] = gaps.rename({"disposition": "gap_kind"}).select(_columns_of(GAPS))
    frames = dict(zip(planned, pl.collect_all(planned.values()), strict=True))
    placed = sum(f.height for name, f in frames.items() if name != BID_REQUEST_IMPS.name)
    if placed != events.height:
        raise WarehouseError(_unplaced(stream, events))
    return frames


def _columns_of(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name != "load_id"]


def _unfold_imps(requests: pl.LazyFrame) -> pl.LazyFrame:
    taken_from_the_imp = {*(column.name for column in IMP_COLUMNS), "imp_index", "load_id"}
    keys = [c.name for c in BID_REQUEST_IMPS.columns if c.name not in taken_from_the_imp]
    return (
        requests.filter(pl.col(IMPS_COLUMN.name).list.len() > 0)
        .select(
            *keys,
            pl.int_ranges(0, pl.col(IMPS_COLUMN.name).list.len(), dtype=pl.Int32).alias(
                "imp_index"
            ),
            IMPS_COLUMN.name,
        )
        .explode("imp_index", IMPS_COLUMN.name)
        .unnest(IMPS_COLUMN.name)
        .select(_columns_of(BID_REQUEST_IMPS))
    )


def _unplaced(stream: str, events: pl.DataFrame) -> str:
    known_types = list(RECORD_TABLES[stream])
    strange = events.filter(
        ~pl.col("disposition").is_in([item.value for item in Disposition]).fill_null(value=False)
        | (
            pl.col("disposition").is_in([item.value for item in _KEPT])
            & ~pl.col("record_type").is_in(known_types).fill_null(value=False)
        )
    )
    first = strange.row(0, named=True)
    return (
        f"{strange.height} rows of events/{stream} fit no raw table; the first is "
        f"{first['topic_id']}/{first['partition']} offset {first['offset']} with disposition "
        f"{first['disposition']!r} and record type {first['record_type']!r}. "
        "A new record type needs a table in warehouse/tables.py."
    )
