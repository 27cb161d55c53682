"""Opening a DuckDB file for writing, and transactions on it.

Belongs here: what every writer of a DuckDB file needs. Does not belong here: tables or rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from adx_platform.warehouse.base import WarehouseBusyError, WarehouseError

_POLL_SECONDS = 0.1


def connect(path: Path, *, wait_seconds: float = 0.0) -> duckdb.DuckDBPyConnection:
    """Open, and create where needed, the database at ``path``, its session in UTC.

    Args:
        path: the database file; its folder is created.
        wait_seconds: how long to wait for another process to let go of the file.

    Raises:
        WarehouseBusyError: another process still has the file.
        WarehouseError: the file cannot be opened for another reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection = duckdb.connect(str(path))
        except duckdb.Error as error:
            if not _is_locked(error):
                raise WarehouseError(f"cannot open the warehouse {path}: {error}") from error
            if time.monotonic() >= deadline:
                raise WarehouseBusyError(
                    f"another process has the warehouse {path} open. Only one may write it: wait "
                    "for the running load or build, or stop it. To read the marts, query the "
                    "published snapshot (`adx query`) instead of this file."
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            # A statement, not a connect option: DuckDB refuses a second connection of this process
            # (dbt's) that was opened with other options.
            connection.execute("SET TimeZone = 'UTC'")
            return connection


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit on success, roll back on any error."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_locked(error: duckdb.Error) -> bool:
    # Linux and macOS speak of the lock; Windows says which process uses the file.
    text = str(error).lower()
    return "could not set lock" in text or "being used by another process" in text
