"""The refined rows: appended behind the refiner's own cursor, or replaced by a restatement.

Belongs here: the writer's side of ``events/<topic>``. Does not belong here: refining.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import polars as pl
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.commits import Advance, commit_rows, cursor_app_id
from adx_platform.lake.errors import LakeError, RangeAlreadyCommitted, UnaccountedOffsets
from adx_platform.lake.ranges import contiguous, require_accounted
from adx_platform.lake.restated import restated_app_id
from adx_platform.lake.restatements import Restatement
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, event_writer_properties, events_table


@dataclass(frozen=True)
class RefineHandle:
    """The events as they stood when a range was planned.

    Open, plan, commit; then open another, for which this one may be given up (``after``).
    """

    table: LakeTable
    handle: DeltaTable

    @classmethod
    def open(
        cls,
        storage: LakeStorage,
        topic: str,
        schema: pl.Schema,
        *,
        checkpoint_interval: int = 50,
        after: Self | None = None,
    ) -> Self:
        """Open the newest version; the table is created where it is absent.

        Args:
            storage: the lake.
            topic: the stream's topic.
            schema: the stream's ``events_schema``; columns that the table lacks are added by the
                next commit.
            checkpoint_interval: commits between checkpoints of a new table.
            after: a handle of the same events that is not used any more: opening is cheaper.

        Raises:
            LakeUnavailable: the storage failed.
            IncompatibleTableSchema: a stored column has another type.
        """
        table = events_table(storage, topic, schema, checkpoint_interval=checkpoint_interval)
        return cls(table, table.reopen(after.handle) if after else table.open())

    def committed(self, topic_id: str, partition: int) -> int | None:
        """Next offset to refine as of planning; ``None`` if the partition was never refined."""
        return self.handle.transaction_version(cursor_app_id(topic_id, partition))

    def restated(self, topic_id: str, partition: int) -> int:
        """The newest restatement applied to the partition as of planning; 0 if none."""
        return self.handle.transaction_version(restated_app_id(topic_id, partition)) or 0

    def commit(
        self,
        frame: pl.DataFrame,
        topic_id: str,
        spans: Iterable[OffsetRange],
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Append ``frame`` and move the refiner's cursors to the ends of ``spans``.

        Args:
            frame: refined rows, one for each raw row of the spans.
            topic_id: identity of the topic.
            spans: what was planned.
            metadata: kept in the table's history, for people.

        Returns:
            The table version of the commit.

        Raises:
            RangeAlreadyCommitted: another worker refined (part of) it since planning.
            UnaccountedOffsets: the frame does not account for every offset once.
            CommitContention, LakeUnavailable: see :func:`commit_rows`.
        """
        ranges = contiguous(spans)
        self._require_schema(frame)
        require_accounted(frame, topic_id, ranges)
        return commit_rows(
            self.table,
            self.handle,
            frame,
            [self._advance(topic_id, span) for span in ranges],
            metadata={
                **(metadata or {}),
                "adx.topic_id": topic_id,
                "adx.ranges": ", ".join(f"{r.partition}:[{r.start}, {r.end})" for r in ranges),
                **_counts(frame),
            },
            writer=event_writer_properties(),
        )

    def replace(self, frame: pl.DataFrame, restatement: Restatement) -> int:
        """Replace exactly the rows of the restatement's range, in one commit.

        Args:
            frame: the range's rows, refined again, with ``revision`` set to the restatement's.
            restatement: announced, and the next one of its partition.

        Returns:
            The table version of the commit.

        Raises:
            RangeAlreadyCommitted: the restatement, or a later one, is applied already.
            LakeError: the range is not refined yet.
            UnaccountedOffsets: rows outside the range, doubles, or another revision.
            CommitContention, LakeUnavailable: see :func:`commit_rows`.
        """
        self._require_schema(frame)
        span = OffsetRange(restatement.partition, restatement.start, restatement.end)
        require_accounted(
            frame.filter(pl.col("offset") + pl.col("gap_length").fill_null(1) <= span.end),
            restatement.topic_id,
            [span],
            holes=True,
        )
        if frame.filter(
            (pl.col("revision") != restatement.revision)
            | (pl.col("offset") < span.start)
            | (pl.col("offset") >= span.end)
        ).height:
            raise UnaccountedOffsets(
                f"rows of restatement {restatement.revision} must carry that revision and lie in "
                f"[{span.start}, {span.end}); nothing was written"
            )
        committed = self.committed(restatement.topic_id, restatement.partition)
        if committed is None or committed < span.end:
            raise LakeError(
                f"restatement {restatement.revision} reaches offset {span.end} but partition "
                f"{span.partition} is refined up to {committed}; ingest first"
            )
        applied = self.restated(restatement.topic_id, restatement.partition)
        if applied >= restatement.revision:
            raise RangeAlreadyCommitted(f"restatement {restatement.revision} is applied already")
        return commit_rows(
            self.table,
            self.handle,
            frame,
            [
                Advance(
                    restated_app_id(restatement.topic_id, restatement.partition),
                    applied or None,
                    restatement.revision,
                )
            ],
            metadata={
                "adx.topic_id": restatement.topic_id,
                "adx.restatement": str(restatement.revision),
                "adx.ranges": f"{span.partition}:[{span.start}, {span.end})",
                "adx.reason": restatement.reason,
                **_counts(frame),
            },
            writer=event_writer_properties(),
            predicate=(
                f"topic_id = {_sql_text(restatement.topic_id)} AND partition = {span.partition} "
                f"AND offset >= {span.start} AND offset < {span.end}"
            ),
        )

    def _advance(self, topic_id: str, span: OffsetRange) -> Advance:
        first = self.committed(topic_id, span.partition) is None
        return Advance(
            cursor_app_id(topic_id, span.partition), None if first else span.start, span.end
        )

    def _require_schema(self, frame: pl.DataFrame) -> None:
        if frame.schema != self.table.schema:
            wanted = self.table.schema
            differing = [n for n in wanted if n not in frame.schema or frame.schema[n] != wanted[n]]
            extra = [n for n in frame.schema if n not in wanted]
            raise UnaccountedOffsets(
                f"not rows of {self.table.name}: columns {differing + extra} differ from the "
                "stream's events schema (or the order of the columns does); nothing was written"
            )


def _counts(frame: pl.DataFrame) -> dict[str, str]:
    counted = frame.group_by("disposition").agg(pl.col("gap_length").fill_null(1).sum())
    return {f"adx.{name}": str(count) for name, count in sorted(counted.iter_rows())}


def _sql_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
