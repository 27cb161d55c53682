"""Taking erased people out of what a warehouse keeps beside its rows.

Belongs here: the keys of removed rows, freed blocks, former publications and versions. Does not
belong here: the raw tables and the models, which the load of the restatement and a build take care
of.

To be called after a build: until then the removed rows' keys tell it what to rebuild.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from adx_platform.settings import Settings
from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.duckdb_connection import transaction
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.hive_engine import HiveWarehouse
from adx_platform.warehouse.publish import drop_former_snapshots
from adx_platform.warehouse.published import POINTER
from adx_platform.warehouse.redshift_connection import RedshiftConnection, retried
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_publish import drop_former_publications
from adx_platform.warehouse.redshift_schema import LOCK_TABLE
from adx_platform.warehouse.selection import open_warehouse
from adx_platform.warehouse.tables import REMOVED_ROWS

TOUCHED_EVENTS: Final = "intermediate.int_touched_events"
"""A model with the keys of what a build has to look at; each build makes it anew."""

_PERSONAL: Final = ("user_id", "user_id_previous")
_HIVE_SCHEMAS: Final = ("raw", "control", "intermediate", "marts", "snapshots")


class _Place(NamedTuple):
    """A column that may hold a pseudonym. ``table``: with its schema, as SQL wants it."""

    table: str
    column: str

    @property
    def is_bookkeeping(self) -> bool:
        """Kept for one build, or written anew by each."""
        return self.table.replace('"', "") in {REMOVED_ROWS.qualified_name, TOUCHED_EVENTS}


def forget_person(
    settings: Settings, pseudonyms: Collection[str], *, wait_seconds: float = 0.0
) -> int:
    """Take the person out of bookkeeping that nothing reads any more, and out of what is old.

    Safe to interrupt and to run again.

    Args:
        settings: the platform's.
        pseudonyms: 64 hex digits each.
        wait_seconds: how long to wait for another process that has the warehouse.

    Returns:
        How many values of the bookkeeping were emptied.

    Raises:
        WarehouseBusyError: another process still has the warehouse.
        WarehouseError: the raw tables or the models still have the person: load and build first.
            Their bookkeeping is as it was.
    """
    with open_warehouse(settings, wait_seconds=wait_seconds) as warehouse:
        emptied = forget_keys(warehouse, pseudonyms)
    if settings.warehouse.engine == "duckdb":
        write_anew(settings.duckdb_path)
    if (settings.published_dir / POINTER).exists():
        drop_former_snapshots(settings.published_dir)
    return emptied


def forget_keys(warehouse: Warehouse, pseudonyms: Collection[str]) -> int:
    """What :func:`forget_person` does inside the warehouse; how many values were emptied."""
    if isinstance(warehouse, DuckDBWarehouse):
        with transaction(warehouse.connection):
            return _empty_in_place(warehouse, _places_in_catalogue(warehouse), pseudonyms)
    if isinstance(warehouse, RedshiftWarehouse):
        return _forget_on_redshift(warehouse, pseudonyms)
    if isinstance(warehouse, HiveWarehouse):
        return _forget_on_hive(warehouse, pseudonyms)
    raise WarehouseError(f"nobody can be erased from a {type(warehouse).__name__}")


def write_anew(path: Path) -> None:
    """Copy the database into a new file in its place, without the bytes of what was deleted.

    DuckDB frees the blocks of deleted rows and does not overwrite them.

    Args:
        path: the database file; nobody has it open.

    Raises:
        WarehouseError: another process has the file, or it cannot be copied; it is as it was.
    """
    new = path.with_name(f"{path.stem}.anew")
    aside = new / path.name
    shutil.rmtree(new, ignore_errors=True)  # a killed one's
    new.mkdir()
    try:
        # The views name their database, which is called like its file: hence the same name.
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"ATTACH {_text(str(path))} AS old (READ_ONLY)")
            connection.execute(f'ATTACH {_text(str(aside))} AS "{path.stem}"')
            connection.execute(f'COPY FROM DATABASE old TO "{path.stem}"')
            connection.execute(f'CHECKPOINT "{path.stem}"')
        aside.replace(path)
        path.with_name(path.name + ".wal").unlink(missing_ok=True)
    except duckdb.Error as error:
        raise WarehouseError(f"{path} could not be written anew: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _forget_on_redshift(warehouse: RedshiftWarehouse, pseudonyms: Collection[str]) -> int:
    connection = warehouse.connection
    drop_former_publications(connection)
    places = _places_in_catalogue(warehouse)

    def empty() -> int:
        with connection.transaction():
            connection.execute(f"LOCK {LOCK_TABLE}")
            return _empty_in_place(warehouse, places, pseudonyms)

    emptied = retried(empty)
    _vacuum(connection, places)
    return emptied


def _vacuum(connection: RedshiftConnection, places: Iterable[_Place]) -> None:
    """Redshift keeps a deleted row's blocks until then; by itself it may leave a twentieth."""
    for table in sorted({place.table for place in places}):
        try:
            connection.execute(f"VACUUM DELETE ONLY {table} TO 100 PERCENT")
        except WarehouseError as error:
            raise WarehouseError(
                f"nothing shows the person any more, but {table} still has blocks of rows that are "
                f"gone: {error}. A cluster runs one VACUUM at a time: erase again later"
            ) from error


def _forget_on_hive(warehouse: HiveWarehouse, pseudonyms: Collection[str]) -> int:
    """No statement there changes a row: what nothing reads any more is replaced, or emptied."""
    found = _found(warehouse, _places_by_table(warehouse), pseudonyms)
    for place, _ in found:
        if place.table == TOUCHED_EVENTS:
            warehouse.empty_model(place.table)
    warehouse.forget_removed(_PERSONAL, pseudonyms)
    warehouse.drop_former_copies()
    return sum(count for _, count in found)


def _empty_in_place(
    warehouse: DuckDBWarehouse | RedshiftWarehouse,
    places: Iterable[_Place],
    pseudonyms: Collection[str],
) -> int:
    found = _found(warehouse, places, pseudonyms)
    for (table, column), _ in found:
        warehouse.connection.execute(
            f"UPDATE {table} SET {column} = NULL WHERE {column} IN ({_listed(pseudonyms)})"  # noqa: S608 names from the catalogue
        )
    return sum(count for _, count in found)


def _found(
    warehouse: Warehouse, places: Iterable[_Place], pseudonyms: Collection[str]
) -> list[tuple[_Place, int]]:
    """Where the person still is, and how often: in the bookkeeping, or this raises."""
    found = []
    for place in places:
        count = int(
            warehouse.query(
                f"SELECT count(*) AS n FROM {place.table} "  # noqa: S608 names from the catalogue
                f"WHERE {place.column} IN ({_listed(pseudonyms)})"
            ).item()
        )
        if count and not place.is_bookkeeping:
            raise WarehouseError(
                f"{place.table} has {count:,} rows of the person: run `adx build` until it is "
                "green, then erase again"
            )
        if count:
            found.append((place, count))
    return found


def _places_in_catalogue(warehouse: Warehouse) -> list[_Place]:
    columns = warehouse.query(
        "SELECT c.table_schema AS of_schema, c.table_name AS name, c.column_name AS personal "  # noqa: S608 our own names
        "FROM information_schema.columns c JOIN information_schema.tables t "
        "ON t.table_catalog = c.table_catalog AND t.table_schema = c.table_schema "
        "AND t.table_name = c.table_name "
        "WHERE t.table_type = 'BASE TABLE' AND c.table_catalog = current_database() "
        f"AND c.column_name IN ({_listed(_PERSONAL)}) ORDER BY 1, 2, 3"
    )
    return [_Place(f'{schema}."{name}"', column) for schema, name, column in columns.rows()]


def _places_by_table(warehouse: HiveWarehouse) -> Iterator[_Place]:
    """Hive has no catalogue to ask: each table is, for its columns."""
    for schema in _HIVE_SCHEMAS:
        for name in warehouse.built_tables(schema):
            table = f"{schema}.{name}"
            present = warehouse.query(f"SELECT * FROM {table} LIMIT 0").columns  # noqa: S608 names from the metastore
            yield from (_Place(table, column) for column in _PERSONAL if column in present)


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(_text(text) for text in sorted(texts))


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
