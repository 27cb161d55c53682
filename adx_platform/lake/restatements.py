"""Restatements: announced ranges whose refined rows are replaced, numbered by revision.

Belongs here: the small table ``restatements``. Does not belong here: refining the range again
(``pipeline``) or replacing its rows (``events``).

The announcement comes first, so that a crash between the two commits is visible: an announced
revision above the partition's applied one is pending and is resumed. Loaders read this table,
because their forward cursor would never see a range behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.commits import MAX_ATTEMPTS, Advance, commit_rows
from adx_platform.lake.errors import CommitContention, RangeAlreadyCommitted
from adx_platform.lake.reading import Snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, event_writer_properties

APP_ID: Final = "restatements"
ERASURE: Final = "erasure"
"""Reason of a restatement that only empties rows of erased people: nothing is refined again."""

SCHEMA = pl.Schema(
    {
        "revision": pl.Int64,
        "topic": pl.String,
        "topic_id": pl.String,
        "partition": pl.Int32,
        "start": pl.Int64,
        "end": pl.Int64,
        "reason": pl.String,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Restatement:
    """One announced range, ``start <= offset < end``; ``revision`` counts from 1 over the lake."""

    revision: int
    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    reason: str

    def is_applied_in(self, snapshot: Snapshot) -> bool:
        """Whether the events snapshot holds the restated rows (or those of a later revision)."""
        return snapshot.restated_revision(self.topic_id, self.partition) >= self.revision


def restatements_table(storage: LakeStorage) -> LakeTable:
    """The table of announcements."""
    return LakeTable(storage, "restatements", SCHEMA, statistics=("revision",))


def list_restatements(
    storage: LakeStorage, topic: str | None = None, *, after_revision: int = 0
) -> tuple[Restatement, ...]:
    """Announced restatements in ascending revision, of one topic or of all.

    Raises:
        LakeFileDamaged: a file of the table is missing or unreadable.
        LakeUnavailable: the storage failed.
    """
    table = restatements_table(storage)
    handle = table.find()
    if handle is None:
        return ()
    snapshot = Snapshot(table, handle)
    rows = snapshot.collect(snapshot.scan().filter(pl.col("revision") > after_revision))
    if topic is not None:
        rows = rows.filter(pl.col("topic") == topic)
    ordered = rows.select(SCHEMA.names()).sort("revision")
    return tuple(Restatement(*row) for row in ordered.iter_rows())


def pending_restatements(
    storage: LakeStorage, topic: str, events: Snapshot
) -> tuple[Restatement, ...]:
    """Announced restatements of ``topic`` that the events snapshot has not applied, in order."""
    return tuple(r for r in list_restatements(storage, topic) if not r.is_applied_in(events))


def announce(
    storage: LakeStorage, topic: str, topic_id: str, span: OffsetRange, *, reason: str
) -> Restatement:
    """Append the intent to restate ``span`` under the next revision.

    Raises:
        ValueError: the range is empty.
        CommitContention: other announcements took every number that was tried.
        LakeUnavailable: the storage failed.
    """
    if span.end <= span.start:
        raise ValueError(f"nothing to restate in [{span.start}, {span.end})")
    table = restatements_table(storage)
    for _ in range(MAX_ATTEMPTS):
        handle: DeltaTable = table.open()
        last = handle.transaction_version(APP_ID)
        restatement = Restatement(
            (last or 0) + 1, topic, topic_id, span.partition, span.start, span.end, reason
        )
        row = pl.DataFrame(
            [
                (
                    restatement.revision,
                    topic,
                    topic_id,
                    span.partition,
                    span.start,
                    span.end,
                    reason,
                )
            ],
            schema=SCHEMA,
            orient="row",
        )
        try:
            commit_rows(
                table,
                handle,
                row,
                [Advance(APP_ID, last, restatement.revision)],
                metadata={"adx.reason": reason},
                writer=event_writer_properties(),
            )
        except RangeAlreadyCommitted:
            continue
        return restatement
    raise CommitContention(
        f"{MAX_ATTEMPTS} other announcements took the number in between; run again"
    )
