"""What the lake has that the warehouse lacks: one snapshot of a stream, in bounded portions.

Belongs here: reading the lake for the loader. Does not belong here: writing a warehouse
(``loader``, the engines) or sorting rows into tables (``projection``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from adx_platform.contracts.columns import polars_schema
from adx_platform.lake.reading import Snapshot, events_snapshot
from adx_platform.lake.restatements import Restatement, list_restatements
from adx_platform.lake.sources import known_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.warehouse.base import LoadRange, TopicPartition
from adx_platform.warehouse.projection import needed_columns


@dataclass(frozen=True)
class LakeSource:
    """One version of ``events/<stream>``: every read through it sees the same rows.

    Attributes:
        snapshot: of the events table.
        next_offsets: how far each partition is refined in the snapshot.
        restatements: announced ones that the snapshot's rows carry, in the order of application.
    """

    snapshot: Snapshot
    next_offsets: Mapping[TopicPartition, int]
    restatements: tuple[Restatement, ...]

    @classmethod
    def open(cls, storage: LakeStorage, stream: str) -> Self | None:
        """The newest version; ``None`` if nothing was refined yet.

        Raises:
            LakeUnavailable: the storage failed.
        """
        # The announcements are read before the rows: one that is made in between is not in the
        # list, so it stays for the next load instead of being taken for applied.
        announced = list_restatements(storage, stream)
        sources = known_sources(storage, stream)
        snapshot = events_snapshot(storage, stream, polars_schema(needed_columns(stream)))
        if snapshot is None:
            return None
        offsets = {
            TopicPartition(source.topic_id, source.partition): offset
            for source in sources
            if (offset := snapshot.next_offset(source.topic_id, source.partition)) is not None
        }
        applied = tuple(item for item in announced if item.is_applied_in(snapshot))
        return cls(snapshot, offsets, applied)

    @property
    def version(self) -> int:
        """Delta version of the events table."""
        return self.snapshot.version

    def ahead_of(self, cursors: Mapping[TopicPartition, int]) -> list[LoadRange]:
        """Ranges that lie beyond ``cursors``, one per partition.

        A partition without a cursor starts at its first stored row: a topic that was old when the
        platform came has no offset 0.

        Raises:
            LakeUnavailable: the storage failed.
        """
        ranges = [
            LoadRange(key.topic_id, key.partition, self._start(key, cursors), offset)
            for key, offset in sorted(self.next_offsets.items())
        ]
        return [part for part in ranges if part.start < part.end]

    def restated_behind(
        self, cursors: Mapping[TopicPartition, int], applied: Iterable[LoadRange]
    ) -> list[LoadRange]:
        """Ranges behind ``cursors`` whose rows in the warehouse are older than the snapshot's.

        Args:
            cursors: of the warehouse.
            applied: ranges of restatements that the warehouse has.
        """
        reached: dict[tuple[int, TopicPartition], int] = {}
        for part in applied:
            seen = (part.revision, part.key)
            reached[seen] = max(part.end, reached.get(seen, part.end))
        ranges = []
        for item in self.restatements:
            key = TopicPartition(item.topic_id, item.partition)
            start = max(item.start, reached.get((item.revision, key), item.start))
            end = min(item.end, cursors.get(key, 0))
            ranges.append(LoadRange(item.topic_id, item.partition, start, end, item.revision))
        return [part for part in ranges if part.start < part.end]

    def restated_within(self, forward: Sequence[LoadRange]) -> list[LoadRange]:
        """Parts of ``forward`` ranges whose rows already carry a restatement."""
        overlaps = [
            LoadRange(
                part.topic_id,
                part.partition,
                max(part.start, item.start),
                min(part.end, item.end),
                item.revision,
            )
            for part in forward
            for item in self.restatements
            if (item.topic_id, item.partition) == part.key
        ]
        return [part for part in overlaps if part.start < part.end]

    def portions(
        self, ranges: Iterable[LoadRange], max_rows: int
    ) -> Iterator[tuple[list[LoadRange], pl.DataFrame]]:
        """Cut ``ranges`` into portions of at most ``max_rows`` rows, each with its rows.

        A range may be cut; its pieces come in order. Ranges without rows (inside a gap) come too.

        Raises:
            LakeUnavailable: the storage failed.
        """
        taken: list[LoadRange] = []
        frames: list[pl.DataFrame] = []
        room = max_rows
        for part in ranges:
            start = part.start
            while start < part.end:
                end = self._end_of_portion(part, start, room)
                piece = LoadRange(part.topic_id, part.partition, start, end, part.revision)
                frame = self.snapshot.read(part.topic_id, part.partition, start, end)
                taken.append(piece)
                frames.append(frame)
                room -= frame.height
                start = end
                if room <= 0:
                    yield taken, pl.concat(frames)
                    taken, frames, room = [], [], max_rows
        if taken:
            yield taken, pl.concat(frames)

    def _start(self, key: TopicPartition, cursors: Mapping[TopicPartition, int]) -> int:
        if key in cursors:
            return cursors[key]
        first = self.snapshot.first_offset(key.topic_id, key.partition)
        return self.next_offsets[key] if first is None else first

    def _end_of_portion(self, part: LoadRange, start: int, room: int) -> int:
        """Where a portion of ``room`` rows from ``start`` ends: at a row, or at the range's end.

        Rows are counted, not offsets: one gap row may stand for millions of offsets.
        """
        if part.end - start <= room:
            return part.end
        # Most ranges have a row per offset, and a short window finds the end without looking at the
        # offsets of all that follows; only a long gap makes the second, full look necessary.
        for limit in (min(part.end, start + 2 * room), part.end):
            first = self._first_offsets(part.key, start, limit, room + 1)
            if len(first) > room:
                return int(first[-1])
        return part.end

    def _first_offsets(self, key: TopicPartition, start: int, end: int, count: int) -> pl.Series:
        """The first ``count`` stored offsets of ``[start, end)``, ascending."""
        return self.snapshot.collect(
            self.snapshot.scan()
            .filter(
                pl.col("topic_id") == key.topic_id,
                pl.col("partition") == key.partition,
                pl.col("offset") >= start,
                pl.col("offset") < end,
            )
            .select(pl.col("offset").bottom_k(count).sort())
        ).to_series()
