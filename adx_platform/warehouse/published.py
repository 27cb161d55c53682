"""Reading what was published: the only way in which people and reports see the marts.

Belongs here: finding and opening the current snapshot, read-only. Does not belong here: making one
(``publish``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
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

_NO_SUCH_TABLE = re.compile(r"Table with name \"?([^\"\s!]+)\"? does not exist")
_NEAR = 0.5


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
            f"nothing was published in {folder} yet: run `adx demo` for a sample market; with "
            "events of your own run `adx ingest` and `adx build`, until a build is green"
        ) from error
    return folder / name


def open_published(folder: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the current snapshot, its session in UTC.

    It opens no other file: a query on the marts can neither write one (``COPY ... TO``, ``ATTACH``)
    nor read one. The connection keeps its snapshot when a newer one is published.

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
        connection.execute("SET enable_external_access = false")
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
        statements = len(connection.extract_statements(sql))
        if statements > 1:
            # The engine runs them all and shows the last: an answer of another question.
            raise PublishedQueryError(f"one query at a time: these are {statements} statements")
        relation = connection.sql(sql, params=dict(parameters) if parameters else None)
        if relation is None:
            raise PublishedQueryError(f"this gives no rows: {sql}")
        return pl.DataFrame(relation.to_arrow_table())
    except duckdb.PermissionException as error:
        raise PublishedQueryError(
            f"a query reads the published snapshot, and neither writes nor reads any file: {error}"
        ) from error
    except duckdb.CatalogException as error:
        raise PublishedQueryError(_with_near_tables(str(error), connection)) from error
    except duckdb.Error as error:
        raise PublishedQueryError(str(error)) from error
    finally:
        connection.close()


def _with_near_tables(message: str, connection: duckdb.DuckDBPyConnection) -> str:
    """The engine's message; for a table that is not there, the names of those that are near."""
    missing = _NO_SUCH_TABLE.search(message)
    if missing is None:
        return message
    found = connection.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables ORDER BY 1"
    ).fetchall()
    tables = {name.rpartition(".")[2]: name for (name,) in found}
    wanted = missing[1].rpartition(".")[2].lower()
    near = [tables[name] for name in get_close_matches(wanted, tables, n=3, cutoff=_NEAR)]
    if near:
        return f"there is no table {missing[1]}; near are {', '.join(near)}"
    return f"there is no table {missing[1]}; there are {', '.join(tables.values())}"
