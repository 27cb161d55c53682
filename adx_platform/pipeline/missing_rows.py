"""Offsets whose rows are missing though every file is sound: a row was deleted, or a file removed.

Belongs here: finding them over a stream's whole history, for a repair. Does not belong here:
putting them back (``mending``), or the daily recount that raises the alarm (``quality``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from adx_platform.contracts.offsets import OffsetRange, merge_ranges, without_ranges
from adx_platform.contracts.streams import Stream
from adx_platform.lake.holes import first_landed, missing_offsets
from adx_platform.lake.reading import Snapshot, events_snapshot
from adx_platform.lake.repairs import (
    RepairEntry,
    Step,
    announce_repair,
    open_repairs,
    repair_entries,
)
from adx_platform.lake.sources import known_sources
from adx_platform.pipeline.platform import Platform

MISSING_ROWS: Final = "missing_rows"


def announce_missing_rows(platform: Platform, stream: Stream) -> None:
    """Announce a repair of what is missing, unless an open repair speaks of it already.

    Raises:
        LakeError: the lake failed.
    """
    entries = repair_entries(platform.storage, stream.topic)
    spoken_of = [e for found in open_repairs(entries).values() for e in found]
    # Bytes that nobody has any more, though their refined rows are kept, are missing for good.
    spoken_of += [e for e in entries if e.step == Step.PAST_RETENTION]
    new = []
    landing = platform.landing(stream)
    refined = events_snapshot(platform.storage, stream.topic, stream.events_schema)
    for topic_id in sorted({s.topic_id for s in known_sources(platform.storage, stream.topic)}):
        starts = first_landed(landing.handle, topic_id)
        # Retention takes beginnings of the landing; refined rows are never shed.
        for layer, snapshot, begins in (
            ("raw", Snapshot(landing.table, landing.handle), {}),
            ("events", refined, starts),
        ):
            if snapshot is None:
                continue
            known = [
                e.span for e in spoken_of if e.layer == layer and e.topic_id == topic_id and e.span
            ]
            partitions = _partitions(platform, stream, topic_id)
            whole = _whole(snapshot, topic_id, partitions, begins)
            holes = without_ranges(missing_offsets(snapshot, topic_id, whole), known)
            new += [
                RepairEntry(
                    0,
                    Step.ANNOUNCED,
                    stream.topic,
                    layer,
                    damage=MISSING_ROWS,
                    topic_id=topic_id,
                    span=hole,
                )
                for hole in holes
            ]
    if new:
        announce_repair(platform.storage, new)


def _partitions(platform: Platform, stream: Stream, topic_id: str) -> list[int]:
    sources = known_sources(platform.storage, stream.topic)
    return [source.partition for source in sources if source.topic_id == topic_id]


def _whole(
    snapshot: Snapshot, topic_id: str, partitions: Iterable[int], begins: dict[int, int]
) -> tuple[OffsetRange, ...]:
    """From where each partition begins, as history has it or else its first row, to its cursor."""
    spans = []
    for partition in partitions:
        end = snapshot.next_offset(topic_id, partition)
        start = begins.get(partition, snapshot.first_offset(topic_id, partition))
        if end is not None and start is not None and start < end:
            spans.append(OffsetRange(partition, start, end))
    return merge_ranges(spans)
