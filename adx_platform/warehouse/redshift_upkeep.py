"""ANALYZE and VACUUM: when, and of which tables.

Belongs here: the policy, and carrying it out after loads and publications. Does not belong here:
anything in a transaction.

Redshift does both by itself when it is idle. A warehouse that loads and builds all day is never
idle for long, and a build that has deleted and inserted whole days plans with the figures of
yesterday: this is the net below.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.redshift_connection import RedshiftConnection

logger = logging.getLogger(__name__)

ANALYZE_FROM_PCT: Final = 10.0
"""Statistics that are off by so much lead the planner astray; it is Redshift's own bound."""
VACUUM_FROM_PCT: Final = 20.0
"""Unsorted or deleted rows; below, a scan reads little in vain."""
VACUUM_FROM_ROWS: Final = 100_000
"""Smaller tables are read whole anyhow."""
MOST_VACUUMS: Final = 2
"""After one publication: a cluster runs one at a time, and each reads a whole table."""

_SCHEMAS: Final = ("raw", "control", "reference", "intermediate", "marts", "snapshots")


@dataclass(frozen=True, slots=True)
class TableState:
    """What the catalogue says of a table: percentages, and rows with those that are deleted."""

    name: str
    stats_off: float
    unsorted: float
    rows: float
    visible_rows: float

    @property
    def deleted(self) -> float:
        """Deleted rows that still take room, in percent."""
        return 100.0 * (self.rows - self.visible_rows) / self.rows if self.rows else 0.0


def upkeep_statements(states: list[TableState]) -> list[str]:
    """What is due, the worst table first; VACUUM before ANALYZE, which counts what it leaves."""
    due = [
        state
        for state in sorted(states, key=lambda s: max(s.unsorted, s.deleted), reverse=True)
        if state.rows >= VACUUM_FROM_ROWS and max(state.unsorted, state.deleted) >= VACUUM_FROM_PCT
    ]
    off = [state for state in states if state.stats_off >= ANALYZE_FROM_PCT]
    return [
        *(f"VACUUM {state.name}" for state in due[:MOST_VACUUMS]),
        *(f"ANALYZE {state.name}" for state in off),
    ]


def refresh_statistics(connection: RedshiftConnection, tables: Iterable[str]) -> list[str]:
    """ANALYZE the raw ``tables`` whose statistics are off; returns what was done."""
    names = {f'raw."{table}"' for table in tables}
    return _done(
        connection,
        lambda: [
            f"ANALYZE {state.name}"
            for state in table_states(connection)
            if state.name in names and state.stats_off >= ANALYZE_FROM_PCT
        ],
    )


def keep_up(connection: RedshiftConnection) -> list[str]:
    """Do what is due; returns the statements that succeeded. A failure is logged and ends nothing.

    Another VACUUM at work, or a user who may not look at the catalogue, is no reason to fail a
    build.
    """
    return _done(connection, lambda: upkeep_statements(table_states(connection)))


def _done(connection: RedshiftConnection, plan: Callable[[], list[str]]) -> list[str]:
    done: list[str] = []
    try:
        for statement in plan():
            connection.execute(statement)
            done.append(statement)
    except WarehouseError as error:
        logger.warning("upkeep of the warehouse ended after %d statements: %s", len(done), error)
    return done


def table_states(connection: RedshiftConnection) -> list[TableState]:
    """The state of each table of the platform that has rows."""
    schemas = ", ".join(f"'{name}'" for name in _SCHEMAS)
    rows = connection.rows(
        'SELECT "schema", "table", coalesce(stats_off, 0), coalesce(unsorted, 0), '  # noqa: S608 our own names
        "coalesce(tbl_rows, 0), coalesce(estimated_visible_rows, tbl_rows, 0) "
        f'FROM svv_table_info WHERE "schema" IN ({schemas}) ORDER BY "schema", "table"'
    )
    return [
        TableState(f'{schema}."{table}"', *(float(number) for number in numbers))
        for schema, table, *numbers in rows
    ]
