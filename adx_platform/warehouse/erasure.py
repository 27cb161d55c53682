"""Taking erased people out of what a warehouse keeps beside its rows.

Belongs here: the keys of removed rows, the bytes of freed blocks, former snapshots. Does not belong
here: the raw tables and the models, which the load of the restatement and a build take care of.

To be called after a build: until then the removed rows' keys tell it what to rebuild.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import duckdb

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.duckdb_connection import transaction
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse

_PLACES = ("user_id", "user_id_previous")


def forget_keys(warehouse: DuckDBWarehouse, pseudonyms: Collection[str]) -> int:
    """Empty the pseudonyms in bookkeeping that nothing reads any more; how many there were.

    Raises:
        WarehouseError: the raw tables or the models still have one: load and build first. Nothing
            was changed.
    """
    connection = warehouse.connection
    wanted = sorted(pseudonyms)
    emptied = 0
    with transaction(connection):
        for schema, table, column in _columns(connection):
            name = f'{schema}."{table}"'
            found = connection.execute(
                f"SELECT count(*) FROM {name} WHERE list_contains(?, {column})",  # noqa: S608 names from the catalogue
                [wanted],
            ).fetchone()
            count = int(found[0]) if found else 0
            if count and not _is_bookkeeping(schema, table):
                raise WarehouseError(
                    f"{name} has {count:,} rows of the person: run `adx build` until it is green, "
                    "then erase again"
                )
            if count:
                connection.execute(
                    f"UPDATE {name} SET {column} = NULL WHERE list_contains(?, {column})",  # noqa: S608 names from the catalogue
                    [wanted],
                )
            emptied += count
    return emptied


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
    new.mkdir(exist_ok=True)
    aside.unlink(missing_ok=True)
    try:
        # The views name their database, which is called like its file: hence the same name.
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"ATTACH {_text(path)} AS old (READ_ONLY)")
            connection.execute(f'ATTACH {_text(aside)} AS "{path.stem}"')
            connection.execute(f'COPY FROM DATABASE old TO "{path.stem}"')
            connection.execute(f'CHECKPOINT "{path.stem}"')
    except duckdb.Error as error:
        raise WarehouseError(f"{path} could not be written anew: {error}") from error
    aside.replace(path)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    new.rmdir()


def _columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns c "
        "JOIN information_schema.tables t USING (table_catalog, table_schema, table_name) "
        "WHERE t.table_type = 'BASE TABLE' AND c.table_catalog = current_database() "
        "AND list_contains(?, c.column_name) ORDER BY ALL",
        [list(_PLACES)],
    ).fetchall()


def _is_bookkeeping(schema: str, table: str) -> bool:
    """Kept for one build, or written anew by each."""
    return (schema, table) in {
        ("control", "removed_rows"),
        ("intermediate", "int_touched_events"),
    }


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
