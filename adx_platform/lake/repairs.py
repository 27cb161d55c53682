"""The journal of repairs: what was found damaged, and what came of it, by the number of the repair.

Belongs here: the small table ``repairs``. Does not belong here: finding damage (``integrity``) or
mending it (``pipeline.repair``).

An entry is written before a file is touched. Once the file is out of its table nothing else says
which offsets it held: at the start of a partition its rows would simply look past retention.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import polars as pl

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.commits import MAX_ATTEMPTS, Advance, commit_rows
from adx_platform.lake.errors import CommitContention, RangeAlreadyCommitted
from adx_platform.lake.reading import Snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, event_writer_properties

APP_ID: Final = "repairs"
SCHEMA = pl.Schema(
    {
        "number": pl.Int64,
        "step": pl.String,
        "topic": pl.String,
        "layer": pl.String,
        "path": pl.String,
        "damage": pl.String,
        "topic_id": pl.String,
        "partition": pl.Int32,
        "start": pl.Int64,
        "end": pl.Int64,
        "rows": pl.Int64,
    }
)


class Step(StrEnum):
    """What an entry says.

    ``announced``: the file is to be taken out; its rows lie within the range. ``past_retention``:
    raw offsets that nobody has any more while their refined rows are kept. ``beyond_repair``:
    offsets that nobody has any more. ``finished``: nothing of the repair is left to do.
    """

    ANNOUNCED = "announced"
    PAST_RETENTION = "past_retention"
    BEYOND_REPAIR = "beyond_repair"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class RepairEntry:
    """One line of the journal; what does not apply to its step is null."""

    number: int
    step: Step
    topic: str
    layer: str
    path: str | None = None
    damage: str | None = None
    topic_id: str | None = None
    span: OffsetRange | None = None
    rows: int | None = None


def repairs_table(storage: LakeStorage) -> LakeTable:
    """The table of the journal."""
    return LakeTable(storage, "repairs", SCHEMA)


def repair_entries(storage: LakeStorage, topic: str | None = None) -> tuple[RepairEntry, ...]:
    """The journal of one topic or of all, in the order of the repairs' numbers.

    Raises:
        LakeUnavailable: the storage failed.
    """
    table = repairs_table(storage)
    handle = table.find()
    if handle is None:
        return ()
    snapshot = Snapshot(table, handle)
    rows = snapshot.collect(snapshot.scan().select(SCHEMA.names()))
    if topic is not None:
        rows = rows.filter(pl.col("topic") == topic)
    return tuple(_entry(row) for row in rows.sort("number").iter_rows(named=True))


def open_repairs(entries: Iterable[RepairEntry]) -> dict[int, tuple[RepairEntry, ...]]:
    """Entries of the repairs that are not finished, by number."""
    by_number: dict[int, list[RepairEntry]] = {}
    for entry in entries:
        by_number.setdefault(entry.number, []).append(entry)
    return {
        number: tuple(found)
        for number, found in by_number.items()
        if all(entry.step != Step.FINISHED for entry in found)
    }


def announce_repair(storage: LakeStorage, entries: Iterable[RepairEntry]) -> int:
    """Write ``entries`` under the next number, in one commit.

    Returns:
        The number; the entries' own is not looked at.

    Raises:
        CommitContention: other repairs took every number that was tried.
        LakeUnavailable: the storage failed.
    """
    entries = list(entries)
    table = repairs_table(storage)
    for _ in range(MAX_ATTEMPTS):
        handle = table.open()
        last = handle.transaction_version(APP_ID)
        number = (last or 0) + 1
        try:
            commit_rows(
                table,
                handle,
                _frame(entries, number),
                [Advance(APP_ID, last, number)],
                metadata={"adx.step": Step.ANNOUNCED.value},
                writer=event_writer_properties(),
            )
        except RangeAlreadyCommitted:
            continue
        return number
    raise CommitContention(f"{MAX_ATTEMPTS} other repairs took the number in between; run again")


def note_repair(storage: LakeStorage, entries: Iterable[RepairEntry]) -> None:
    """Add ``entries`` to repairs that were announced.

    Raises:
        LakeUnavailable: the storage failed.
    """
    entries = list(entries)
    if not entries:
        return
    table = repairs_table(storage)
    commit_rows(
        table,
        table.open(),
        _frame(entries, None),
        [],
        metadata={"adx.step": entries[-1].step.value},
        writer=event_writer_properties(),
    )


def past_retention(storage: LakeStorage, topic: str) -> dict[tuple[str, int], list[OffsetRange]]:
    """Raw offsets that a repair could not land again, by (topic id, partition)."""
    found: dict[tuple[str, int], list[OffsetRange]] = {}
    for entry in repair_entries(storage, topic):
        if entry.step == Step.PAST_RETENTION and entry.topic_id is not None and entry.span:
            found.setdefault((entry.topic_id, entry.span.partition), []).append(entry.span)
    return found


def _frame(entries: Iterable[RepairEntry], number: int | None) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (
                entry.number if number is None else number,
                entry.step.value,
                entry.topic,
                entry.layer,
                entry.path,
                entry.damage,
                entry.topic_id,
                entry.span.partition if entry.span else None,
                entry.span.start if entry.span else None,
                entry.span.end if entry.span else None,
                entry.rows,
            )
            for entry in entries
        ],
        schema=SCHEMA,
        orient="row",
    )


def _entry(row: dict[str, object]) -> RepairEntry:
    span = None
    if row["partition"] is not None:
        span = OffsetRange(int(str(row["partition"])), int(str(row["start"])), int(str(row["end"])))
    return RepairEntry(
        number=int(str(row["number"])),
        step=Step(str(row["step"])),
        topic=str(row["topic"]),
        layer=str(row["layer"]),
        path=None if row["path"] is None else str(row["path"]),
        damage=None if row["damage"] is None else str(row["damage"]),
        topic_id=None if row["topic_id"] is None else str(row["topic_id"]),
        span=span,
        rows=None if row["rows"] is None else int(str(row["rows"])),
    )
