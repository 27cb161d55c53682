"""LAND: append exactly one planned range, undecoded, with the cursor in the same commit.

Belongs here: the writer's side of ``raw/<topic>``. Does not belong here: reading Kafka
(``streams``) or understanding a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import polars as pl
from deltalake import DeltaTable

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.commits import Advance, commit_rows, cursor_app_id, repaired_app_id
from adx_platform.lake.errors import LakeError, UnaccountedOffsets
from adx_platform.lake.ranges import contiguous, require_accounted
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, raw_table, raw_writer_properties


@dataclass(frozen=True)
class LandingHandle:
    """The landing as it stood when a range was planned.

    Open, plan, commit; then open another, for which this one may be given up (``after``).
    """

    table: LakeTable
    handle: DeltaTable
    topic: str

    @classmethod
    def open(
        cls,
        storage: LakeStorage,
        topic: str,
        *,
        checkpoint_interval: int = 50,
        after: Self | None = None,
    ) -> Self:
        """Open the newest version; the table is created where it is absent.

        Args:
            storage: the lake.
            topic: the stream's topic.
            checkpoint_interval: commits between checkpoints of a new table.
            after: a handle of the same landing that is not used any more: opening is cheaper.

        Raises:
            LakeUnavailable: the storage failed.
            IncompatibleTableSchema: the stored table is not a landing of this release.
        """
        table = raw_table(storage, topic, checkpoint_interval=checkpoint_interval)
        return cls(table, table.reopen(after.handle) if after else table.open(), topic)

    def committed(self, topic_id: str, partition: int) -> int | None:
        """Next offset to land as of planning; ``None`` if the partition was never landed."""
        return self.handle.transaction_version(cursor_app_id(topic_id, partition))

    def commit(self, frame: pl.DataFrame, topic_id: str, spans: Iterable[OffsetRange]) -> int:
        """Append ``frame`` and move the cursors of its partitions to the ends of ``spans``.

        Args:
            frame: rows in ``RAW_SCHEMA``, messages and gap rows, that account for every offset.
            topic_id: identity of the topic.
            spans: what was planned; adjoining spans of a partition (a loss, then a read) are one.

        Returns:
            The table version of the commit.

        Raises:
            RangeAlreadyCommitted: another worker landed (part of) it since planning.
            UnaccountedOffsets: the frame does not account for every offset once.
            CommitContention, LakeUnavailable: see :func:`commit_rows`.
        """
        ranges = contiguous(spans)
        require_raw_schema(frame)
        require_accounted(frame, topic_id, ranges)
        register_sources(self.table.storage, self.topic, topic_id, [r.partition for r in ranges])
        return commit_rows(
            self.table,
            self.handle,
            frame,
            [self._advance(topic_id, span) for span in ranges],
            metadata={
                "adx.topic_id": topic_id,
                "adx.ranges": ", ".join(f"{r.partition}:[{r.start}, {r.end})" for r in ranges),
                "adx.rows": str(frame.height),
            },
            writer=raw_writer_properties(),
        )

    def fill(self, frame: pl.DataFrame, topic_id: str, span: OffsetRange) -> int:
        """Append rows of landed offsets whose rows were lost with a file.

        Two repairs that fill the same hole are fenced by an application id of their own: the
        loser's handle is older than the winner's commit. The cursor of the landing stays.

        Args:
            frame: rows in ``RAW_SCHEMA`` within ``span``; offsets of it may have no row.
            topic_id: identity of the topic.
            span: a hole of this very handle's version, behind the cursor.

        Returns:
            The table version of the commit.

        Raises:
            RangeAlreadyCommitted: another repair of the partition was faster.
            LakeError: the span was never landed.
            UnaccountedOffsets: rows outside the span, or doubles.
            CommitContention, LakeUnavailable: see :func:`commit_rows`.
        """
        require_raw_schema(frame)
        require_accounted(frame, topic_id, [span], holes=True)
        committed = self.committed(topic_id, span.partition)
        if committed is None or committed < span.end:
            raise LakeError(
                f"{self.topic} {span} cannot be filled: the partition is landed up to {committed}"
            )
        app_id = repaired_app_id(topic_id, span.partition)
        before = self.handle.transaction_version(app_id)
        return commit_rows(
            self.table,
            self.handle,
            frame,
            [Advance(app_id, before, (before or 0) + 1)],
            metadata={
                "adx.topic_id": topic_id,
                "adx.filled": str(span),
                "adx.rows": str(frame.height),
            },
            writer=raw_writer_properties(),
        )

    def _advance(self, topic_id: str, span: OffsetRange) -> Advance:
        first = self.committed(topic_id, span.partition) is None
        return Advance(
            cursor_app_id(topic_id, span.partition), None if first else span.start, span.end
        )


def require_raw_schema(frame: pl.DataFrame) -> None:
    """Refuse a frame that is not exactly in ``RAW_SCHEMA``.

    Raises:
        UnaccountedOffsets: names the columns that differ.
    """
    if frame.schema != RAW_SCHEMA:
        differing = sorted(set(frame.schema.items()) ^ set(RAW_SCHEMA.items()), key=str)
        raise UnaccountedOffsets(f"not a raw frame: columns {differing} differ from RAW_SCHEMA")
