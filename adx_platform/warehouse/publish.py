"""Publishing a green build: a read-only snapshot of the marts, swapped in atomically.

Belongs here: copying the marts into a database of their own, moving the pointer, dropping old
snapshots. Does not belong here: judging whether a build is green, or reading (``published``).

DuckDB refuses a second process while a writer has a file, so readers never open the warehouse. They
follow the pointer file; those that hold an older snapshot go on with it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from adx_platform import faultpoints
from adx_platform.settings import Settings
from adx_platform.warehouse.base import PublishReport, WarehouseError
from adx_platform.warehouse.duckdb_connection import transaction
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.published import POINTER, current_snapshot
from adx_platform.warehouse.tables import BUILDS, CURSORS, LOAD_RANGES, LOADS, REFERENCE_LOADS

MARTS_SCHEMA = "marts"
KEPT_SNAPSHOTS = 2
TRACE_TABLES = (LOADS, LOAD_RANGES, CURSORS, BUILDS, REFERENCE_LOADS)
"""Published beside the marts, so that a figure can be traced to its load and offset range."""
TOO_LARGE_TO_CARRY = frozenset({"fct_auctions", "fct_clicks", "fct_impressions"})
"""Marts that stay where they are: no figure of the report needs them, so not every row travels."""

_BUILD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_PARTIAL = ".partial"
_ALIAS = "adx_snapshot"


def publish_build(settings: Settings, build_id: str, wait_seconds: float = 0.0) -> PublishReport:
    """Publish a recorded build of the warehouse of ``settings``; see :func:`publish`."""
    with DuckDBWarehouse.from_settings(settings, wait_seconds) as warehouse:
        warehouse.ensure_schema()
        return publish(warehouse, settings.published_dir, build_id)


def publish(
    warehouse: DuckDBWarehouse, folder: Path, build_id: str, *, keep: int = KEPT_SNAPSHOTS
) -> PublishReport:
    """Make the marts of a green build what readers see.

    Killed at any instant, readers see either the former snapshot or the new one, whole; calling it
    again for the same build finishes the work.

    Args:
        warehouse: open; it stays locked while the marts are copied.
        folder: where the snapshots are.
        build_id: a build that was recorded as green; letters, digits, ``.``, ``_`` and ``-``.
        keep: how many snapshots stay, the new one included.

    Raises:
        WarehouseError: the build is not recorded as green, its id is no file name, or there are no
            marts.
    """
    to_load_id = _loads_of(warehouse.connection, _checked(build_id, keep))

    def fill(target: Path) -> None:
        _copy(warehouse.connection, target, build_id, to_load_id)

    return _swap_in(folder, build_id, fill, keep)


def publish_frames(
    folder: Path,
    build_id: str,
    to_load_id: int,
    frames: Iterable[tuple[str, str, pl.DataFrame]],
    *,
    keep: int = KEPT_SNAPSHOTS,
) -> PublishReport:
    """Make rows of another engine's marts what the report and `adx query` of this machine see.

    The same file and the same swap as :func:`publish`; calling it again for a build that has its
    file takes no rows.

    Args:
        folder: where the snapshots are.
        build_id: a build that was recorded as green; letters, digits, ``.``, ``_`` and ``-``.
        to_load_id: the build includes every load up to this one.
        frames: schema, name and rows of each table.
        keep: how many snapshots stay, the new one included.

    Raises:
        WarehouseError: the build's id is no file name.
    """

    def fill(target: Path) -> None:
        with duckdb.connect(str(target)) as connection:
            for schema, name, rows in frames:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
                connection.register("incoming_rows", rows.to_arrow())
                connection.execute(
                    f'CREATE TABLE {schema}."{name}" AS SELECT * FROM incoming_rows'  # noqa: S608 names from the catalogue
                )
                connection.unregister("incoming_rows")
            _write_label(connection, "main", build_id, to_load_id)

    return _swap_in(folder, _checked(build_id, keep), fill, keep)


def recorded_loads(build_id: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """The ``to_load_id`` of a build, from the rows that ``control.builds`` has of it.

    Raises:
        WarehouseError: it has none.
    """
    if not rows:
        raise WarehouseError(
            f"build {build_id} is not recorded as green, so it is not published: "
            "record_build() comes first, after every test passed"
        )
    return int(rows[0][0])


def require_marts(names: Sequence[object]) -> None:
    """Refuse to publish nothing.

    Raises:
        WarehouseError: there are no marts.
    """
    if not names:
        raise WarehouseError(f"schema {MARTS_SCHEMA} is empty: there is nothing to publish")


def _checked(build_id: str, keep: int) -> str:
    if not _BUILD_ID.fullmatch(build_id):
        raise WarehouseError(
            f"build id {build_id!r} cannot name a file: use letters, digits, '.', '_' and '-'"
        )
    if keep < 1:
        raise WarehouseError(f"keep is {keep}: the snapshot that is published must stay")
    return build_id


def _swap_in(folder: Path, build_id: str, fill: Callable[[Path], None], keep: int) -> PublishReport:
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / f"adx-{build_id}.duckdb"
    if not snapshot.exists():
        partial = snapshot.with_name(snapshot.name + _PARTIAL)
        partial.unlink(missing_ok=True)
        fill(partial)
        _to_disk(partial)
        partial.replace(snapshot)
        _folder_to_disk(folder)
    faultpoints.reach("publish.before_swap")
    _point_to(folder, snapshot.name)
    faultpoints.reach("publish.after_swap")
    _drop_old(folder, keep)
    return PublishReport(build_id, snapshot, _row_counts(snapshot))


def _loads_of(connection: duckdb.DuckDBPyConnection, build_id: str) -> int:
    rows = connection.execute(
        "SELECT to_load_id FROM control.builds WHERE build_id = ?", [build_id]
    ).fetchall()
    return recorded_loads(build_id, rows)


def _copy(
    connection: duckdb.DuckDBPyConnection, target: Path, build_id: str, to_load_id: int
) -> None:
    source = connection.execute("SELECT current_database()").fetchall()[0][0]
    marts = [
        (MARTS_SCHEMA, name)
        for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_catalog = ? AND table_schema = ? ORDER BY table_name",
            [source, MARTS_SCHEMA],
        ).fetchall()
    ]
    require_marts(marts)
    path = str(target).replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS {_ALIAS}")
    try:
        # One transaction: every mart is copied as of the same instant.
        with transaction(connection):
            for schema in (MARTS_SCHEMA, LOADS.schema):
                connection.execute(f"CREATE SCHEMA {_ALIAS}.{schema}")
            for schema, name in (*marts, *((t.schema, t.name) for t in TRACE_TABLES)):
                connection.execute(
                    f'CREATE TABLE {_ALIAS}.{schema}."{name}" AS '  # noqa: S608 names from the catalogue
                    f'SELECT * FROM "{source}".{schema}."{name}"'
                )
            _write_label(connection, f"{_ALIAS}.main", build_id, to_load_id)
        connection.execute(f"CHECKPOINT {_ALIAS}")
    finally:
        connection.execute(f"DETACH {_ALIAS}")


def _write_label(
    connection: duckdb.DuckDBPyConnection, schema: str, build_id: str, to_load_id: int
) -> None:
    connection.execute(
        f"CREATE TABLE {schema}.snapshot "
        "(build_id VARCHAR, to_load_id BIGINT, published_at TIMESTAMP)"
    )
    connection.execute(
        f"INSERT INTO {schema}.snapshot VALUES (?, ?, ?)",  # noqa: S608 our own name
        [build_id, to_load_id, datetime.now(UTC).replace(tzinfo=None)],
    )


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its renames are journaled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point_to(folder: Path, name: str) -> None:
    pending = folder / f"{POINTER}{_PARTIAL}"
    with pending.open("w", encoding="utf-8") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())
    pending.replace(folder / POINTER)
    _folder_to_disk(folder)


def drop_former_snapshots(folder: Path) -> None:
    """Delete every snapshot but the current one.

    Raises:
        NothingPublishedError: nothing was published.
    """
    _drop_old(folder, 1)


def _drop_old(folder: Path, keep: int) -> None:
    current = current_snapshot(folder)
    others = sorted(
        (path for path in folder.glob("adx-*.duckdb") if path != current),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    leftovers = folder.glob(f"adx-*{_PARTIAL}*")
    for path in (*others[keep - 1 :], *leftovers):
        # Windows keeps a file that a reader has open: the next publication tries again.
        with contextlib.suppress(PermissionError):
            path.unlink(missing_ok=True)


def _row_counts(snapshot: Path) -> dict[str, int]:
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1",
            [MARTS_SCHEMA],
        ).fetchall()
        counts: dict[str, int] = {}
        for (name,) in names:
            rows = connection.execute(
                f'SELECT count(*) FROM {MARTS_SCHEMA}."{name}"'  # noqa: S608 names from the catalogue
            ).fetchall()
            counts[name] = int(rows[0][0])
    return counts
