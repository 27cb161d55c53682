"""What a load must keep, whatever the engine: where it may start, and what the books say of it.

Belongs here: rules on the values that cross the interface (``base``). Does not belong here: SQL, or
how an engine makes a transaction of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from adx_platform.warehouse.base import (
    LoadBatch,
    LoadRange,
    StaleLoadError,
    TopicPartition,
    WarehouseError,
)
from adx_platform.warehouse.tables import (
    REFERENCE_WAREHOUSE_TABLES,
    REMOVED_ROWS,
    Table,
    tables_of_stream,
)

REMOVED_KEYS: tuple[str, ...] = tuple(
    column.name for column in REMOVED_ROWS.columns if column.name not in {"load_id", "table_name"}
)
"""What is kept of a row that a restatement took out, where its table has the column."""


def tables_of(batch: LoadBatch) -> dict[str, Table]:
    """The raw tables of the batch's stream by name.

    Raises:
        WarehouseError: the batch has rows for another table.
    """
    tables = {table.name: table for table in tables_of_stream(batch.stream)}
    unknown = sorted(set(batch.frames) - set(tables))
    if unknown:
        raise WarehouseError(
            f"stream {batch.stream!r} has no raw table {', '.join(unknown)}: "
            f"its tables are {', '.join(tables)}"
        )
    return tables


def reference_table(name: str) -> Table:
    """The reference table ``name``.

    Raises:
        WarehouseError: there is none.
    """
    table = {t.name: t for t in REFERENCE_WAREHOUSE_TABLES}.get(name)
    if table is None:
        known = ", ".join(t.name for t in REFERENCE_WAREHOUSE_TABLES)
        raise WarehouseError(f"no reference table {name!r}: known are {known}")
    return table


def check_ranges(batch: LoadBatch, cursors: Mapping[TopicPartition, int]) -> None:
    """Hold the batch's ranges against the cursors of its stream.

    Raises:
        StaleLoadError: a forward range does not start at its cursor, or a replaced range is not
            below it.
    """
    for part in batch.forward:
        cursor = cursors.get(part.key)
        if cursor is not None and cursor != part.start:
            raise StaleLoadError(
                f"{batch.stream} {part.topic_id}/{part.partition}: the batch starts at offset "
                f"{part.start}, the warehouse is at {cursor}; plan the load again"
            )
    for part in batch.replaced:
        if part.end > cursors.get(part.key, 0):
            raise StaleLoadError(
                f"{batch.stream} {part.topic_id}/{part.partition}: offsets {part.start} to "
                f"{part.end} are not loaded yet and cannot be replaced; plan the load again"
            )


def range_rows(batch: LoadBatch, load_id: int) -> list[tuple[int | str, ...]]:
    """Rows of ``control.load_ranges`` for the batch."""
    ranges: list[tuple[str, LoadRange]] = [
        *(("forward", part) for part in batch.forward),
        *(("restatement", part) for part in (*batch.replaced, *batch.satisfied)),
    ]
    return [
        (
            load_id,
            batch.stream,
            part.topic_id,
            part.partition,
            part.start,
            part.end,
            kind,
            part.revision,
        )
        for kind, part in ranges
    ]


def range_parameters(stream: str, part: LoadRange) -> dict[str, int | str]:
    """Parameters of a statement about one range."""
    return {
        "stream": stream,
        "topic_id": part.topic_id,
        "partition": part.partition,
        "start_offset": part.start,
        "end_offset": part.end,
    }


def cursor_rows(batch: LoadBatch, load_id: int) -> list[tuple[int | str, ...]]:
    """Rows of ``control.cursors`` after the batch."""
    return [
        (batch.stream, part.topic_id, part.partition, part.end, load_id) for part in batch.forward
    ]


def check_build(build_id: str, to_load_id: int, latest: int, recorded: list[tuple[int]]) -> bool:
    """Whether the build must still be recorded.

    Args:
        build_id: of the build.
        to_load_id: the highest load that it includes.
        latest: the highest load that there is.
        recorded: ``to_load_id`` of the rows that the books have of it.

    Raises:
        WarehouseError: the build is recorded with other loads, or the load does not exist.
    """
    if not 0 <= to_load_id <= latest:
        raise WarehouseError(
            f"build {build_id} cannot include load {to_load_id}: the latest load is {latest}"
        )
    if recorded and recorded != [(to_load_id,)]:
        raise WarehouseError(
            f"build {build_id} is already recorded with loads up to {recorded[0][0]}, "
            f"not {to_load_id}: give every build its own id"
        )
    return not recorded
