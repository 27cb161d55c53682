"""Reading what was published: the only way in which people and reports see the marts.

Belongs here: finding and opening the current snapshot, read-only. Does not belong here: making one
(``publish``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from adx_platform.warehouse.base import WarehouseError

POINTER = "CURRENT"
"""Name of the file that holds the name of the current snapshot."""

# A snapshot may be deleted between reading the pointer and opening the file, when two were
# published in between.
_ATTEMPTS = 3


class NothingPublishedError(WarehouseError):
    """No build was published yet."""


class PublishedQueryError(WarehouseError):
    """The query cannot be answered; the message is the engine's."""


def current_snapshot(folder: Path) -> Path:
    """The database file of the current snapshot.

    Raises:
        NothingPublishedError: there is none.
    """
    try:
        name = (folder / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise NothingPublishedError(
            f"nothing was published in {folder} yet: run `adx demo`, or materialise the warehouse "
            "assets until a build is green"
        ) from error
    return folder / name


def open_published(folder: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the current snapshot, its session in UTC.

    The connection keeps its snapshot when a newer one is published.

    Raises:
        NothingPublishedError: nothing was published, or the snapshot's file is gone.
    """
    for _ in range(_ATTEMPTS):
        snapshot = current_snapshot(folder)
        try:
            connection = duckdb.connect(str(snapshot), read_only=True)
        except duckdb.IOException:
            if snapshot.exists():
                raise
            continue
        connection.execute("SET TimeZone = 'UTC'")
        return connection
    raise NothingPublishedError(
        f"{folder / POINTER} names {snapshot.name}, which does not exist: publish again"
    )


def query_published(
    folder: Path, sql: str, parameters: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """Run one query on the current snapshot.

    Raises:
        NothingPublishedError: nothing was published.
        PublishedQueryError: the SQL is wrong, or is no query.
    """
    connection = open_published(folder)
    try:
        relation = connection.sql(sql, params=dict(parameters) if parameters else None)
        if relation is None:
            raise PublishedQueryError(f"this gives no rows: {sql}")
        return pl.DataFrame(relation.to_arrow_table())
    except duckdb.Error as error:
        raise PublishedQueryError(str(error)) from error
    finally:
        connection.close()
