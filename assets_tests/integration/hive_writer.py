"""A writer in a process of its own, so that a test may kill it at a named instant."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import polars as pl

from adx_platform.warehouse.base import LoadBatch, LoadRange
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.hive_retention import expire_on_hive
from adx_platform.warehouse.hive_store import HiveStore
from adx_platform.warehouse.projection import project


def main(folder: str, port: str, what: str, *arguments: str) -> None:
    """Do ``what`` to the warehouse: ``load`` or ``expire``."""
    with HiveWarehouse(
        HiveStore(Path(folder)), HiveCatalog("127.0.0.1", int(port), "adx")
    ) as warehouse:
        (_load if what == "load" else _expire)(warehouse, *arguments)


def _load(warehouse: HiveWarehouse, events: str, *span_of: str) -> None:
    """Load a Parquet file of events as ``start end revision`` of ``topic-a``/0."""
    start, end, revision = map(int, span_of)
    span = (LoadRange("topic-a", 0, start, end, revision),)
    batch = LoadBatch(
        "clicks_conversions",
        5,
        project("clicks_conversions", pl.read_parquet(events)),
        forward=() if revision else span,
        replaced=span if revision else (),
    )
    warehouse.load(batch)


def _expire(warehouse: HiveWarehouse, kept_from: str, *tables: str) -> None:
    """Delete the rows of ``tables`` from before ``kept_from``."""
    expire_on_hive(warehouse, dict.fromkeys(tables, date.fromisoformat(kept_from)))


if __name__ == "__main__":
    main(*sys.argv[1:])
