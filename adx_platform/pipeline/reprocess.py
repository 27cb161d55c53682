"""Refine a past range again, in place of what it was refined to before.

Belongs here: announce, refine from the landing, replace; and resuming what a crash left announced.
Does not belong here: bringing the restatement to a warehouse (``warehouse``).

Restatements of one partition are applied in the order of their revisions. Whoever finds one
pending applies it, so a worker that announced and died holds nobody up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.contracts.streams import Stream, stream_named
from adx_platform.faultpoints import reach
from adx_platform.lake.erased_rows import is_erased
from adx_platform.lake.errors import (
    CommitContention,
    LakeError,
    RangeAlreadyCommitted,
    RawPastRetention,
)
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.reading import Snapshot, events_snapshot, raw_snapshot
from adx_platform.lake.restatements import ERASURE, Restatement, announce, pending_restatements
from adx_platform.lake.sources import known_sources
from adx_platform.observability.context import log_context
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.reports import disposition_counts, reason_counts
from adx_platform.pipeline.rereading import require_at_broker, rows_from_broker
from adx_platform.reference.erased import load_erased
from adx_platform.refine.batch import refine_batch
from adx_platform.refine.suppression import without_the_erased
from adx_platform.streams.lanes import lane_of

logger = logging.getLogger(__name__)

_RACES: Final = 5


@dataclass(frozen=True)
class ReprocessReport:
    """What a reprocessing did.

    Attributes:
        stream: name of the stream.
        topic_id: identity of the topic.
        restatements: what was announced and applied, in order.
        counts_before: offsets by disposition as they were; gap rows count with their length.
        counts: the same as they are now.
        reasons: rejected rows by reason code, now.
        events_version: version of the events table after the last replacement.
        seconds: the whole time.
    """

    stream: str
    topic_id: str
    restatements: tuple[Restatement, ...]
    counts_before: dict[str, int]
    counts: dict[str, int]
    reasons: dict[str, int]
    events_version: int
    seconds: float

    @property
    def revision(self) -> int:
        """The last (highest) revision."""
        return self.restatements[-1].revision


def reprocess_range(
    platform: Platform,
    stream: str,
    ranges: Iterable[OffsetRange],
    *,
    reason: str,
    topic_id: str | None = None,
    from_broker: bool = False,
) -> ReprocessReport:
    """Refine ``ranges`` again from their landed bytes and replace exactly their rows.

    Large ranges are cut: each part is a restatement with a revision of its own.

    Args:
        platform: the opened parts; no broker is needed but for ``from_broker``.
        stream: name of the stream.
        ranges: what to refine again; all of it must be refined already.
        reason: kept with each restatement, for people.
        topic_id: needed only where the lake knows several incarnations of the topic.
        from_broker: read from the broker what the landing no longer has.

    Raises:
        ValueError: no such stream, or an empty range.
        LakeError: (a part of) the range was never refined, or ``topic_id`` is needed.
        RawPastRetention: raw rows of the range are gone; nothing was announced or changed.
        LakeUnavailable: the storage failed; what was announced is resumed by the next run.
        StreamError: with ``from_broker``, the broker does not answer or has another topic.
    """
    started = time.monotonic()
    known = stream_named(stream)
    wanted = merge_ranges(ranges)
    if not wanted:
        raise ValueError("nothing to reprocess: the range is empty")
    resume_restatements(platform, stream)
    topic_id = topic_id or _only_topic_id(platform, known)
    before = _checked_rows(platform, known, topic_id, wanted, from_broker=from_broker)
    announced = restate(platform, known, topic_id, wanted, reason=reason, from_broker=from_broker)
    after = _event_rows(_events(platform, known), topic_id, wanted)
    return ReprocessReport(
        stream=stream,
        topic_id=topic_id,
        restatements=announced,
        counts_before=disposition_counts(before),
        counts=disposition_counts(after),
        reasons=reason_counts(after),
        events_version=_events(platform, known).version,
        seconds=time.monotonic() - started,
    )


def restate(
    platform: Platform,
    stream: Stream,
    topic_id: str,
    ranges: Iterable[OffsetRange],
    *,
    reason: str,
    from_broker: bool = False,
) -> tuple[Restatement, ...]:
    """Announce ``ranges`` part by part and refine each again; what has no raw rows stays.

    The caller has made sure that the ranges are refined, and that this is wanted where raw rows
    are missing.

    Raises:
        LakeError: the lake failed; what was announced is resumed by the next run.
        StreamError: with ``from_broker``, the broker failed or has another topic.
    """
    announced: list[Restatement] = []
    for part in _parts(ranges, platform.settings.ingest.max_records_per_batch):
        if from_broker:
            announced += _restate_from_broker(platform, stream, topic_id, part, reason)
            continue
        announced.append(announce(platform.storage, stream.topic, topic_id, part, reason=reason))
        reach("reprocess.announced")
        resume_restatements(platform, stream.name)
    return tuple(announced)


def _restate_from_broker(
    platform: Platform, stream: Stream, topic_id: str, part: OffsetRange, reason: str
) -> list[Restatement]:
    """Restate ``part`` with what the broker has of it.

    Whoever finds a restatement announced applies it, and has no rows but the landing's: then the
    part stays as it is under the new revision, and is announced once more.
    """
    fetched = rows_from_broker(platform, stream, topic_id, part)
    announced: list[Restatement] = []
    for _ in range(_RACES):
        announced.append(announce(platform.storage, stream.topic, topic_id, part, reason=reason))
        reach("reprocess.announced")
        newest = announced[-1]
        applied = resume_restatements(platform, stream.name, fetched={newest.revision: fetched})
        if newest in applied:
            return announced
    raise CommitContention(
        f"{stream.name} {part}: another worker applied {_RACES} restatements of it first, without "
        "the broker's rows; its rows are as they were. Run again."
    )


def resume_restatements(
    platform: Platform,
    stream: str,
    *,
    lane: int | None = None,
    fetched: Mapping[int, pl.DataFrame] | None = None,
) -> tuple[Restatement, ...]:
    """Apply the announced restatements of a stream that its rows do not carry yet, in order.

    Args:
        platform: the opened parts; no broker is needed.
        stream: name of the stream.
        lane: only the partitions of this lane; by default of all lanes.
        fetched: revision -> raw rows of its range that the landing does not have.

    Returns:
        Those that this call applied; another worker may have applied others.

    Raises:
        LakeError: the lake failed; what is pending stays pending.
    """
    known = stream_named(stream)
    events = events_snapshot(platform.storage, known.topic, known.events_schema)
    if events is None:
        return ()
    lanes = platform.settings.kafka.lanes_per_topic
    applied = []
    for restatement in pending_restatements(platform.storage, known.topic, events):
        if lane is None or lane_of(restatement.partition, lanes) == lane:
            try:
                _apply(platform, known, restatement, (fetched or {}).get(restatement.revision))
            except RangeAlreadyCommitted:
                continue
            applied.append(restatement)
    return tuple(applied)


def _apply(
    platform: Platform, stream: Stream, restatement: Restatement, fetched: pl.DataFrame | None
) -> None:
    where = (restatement.topic_id, restatement.partition, restatement.start, restatement.end)
    handle: RefineHandle = platform.refining(stream)
    current = Snapshot(handle.table, handle.handle)
    landing = raw_snapshot(platform.storage, stream.topic)
    raw = pl.DataFrame(schema=RAW_SCHEMA) if landing is None else landing.read(*where)
    if fetched is not None:
        raw = pl.concat([raw, fetched.join(raw, on="offset", how="anti")]).sort("offset")
    # An erasure refines nothing again: what it leaves of a row is what the row was.
    raw = raw.clear() if restatement.reason == ERASURE else raw.filter(~is_erased())
    rows = refine_batch(raw, platform.refine_context(stream))
    # Raw rows that the retention took after the announcement, and erased ones, cannot be refined
    # again. What they were refined to stays, under the new revision: an announcement must never
    # wait for ever.
    offsets = current.read(*where, columns=["offset"])
    if not offsets["offset"].is_in(rows["offset"].implode()).all():
        kept = current.read(*where).join(rows.select("offset"), on="offset", how="anti")
        rows = pl.concat([rows, kept])
    # The list as it is now: a resident worker may not have noticed yet that it grew.
    rows = without_the_erased(rows, load_erased(platform.settings.reference_dir))
    rows = rows.with_columns(pl.lit(restatement.revision, pl.Int64).alias("revision"))
    reach("reprocess.before_commit")
    handle.replace(rows.sort("offset"), restatement)
    _log_replacement(stream, restatement, disposition_counts(rows))


def _log_replacement(stream: Stream, restatement: Restatement, counts: dict[str, int]) -> None:
    found = {name: count for name, count in counts.items() if count}
    part = OffsetRange(restatement.partition, restatement.start, restatement.end)
    with log_context(asset=f"lake/events/{stream.name}", stream=stream.name, offset_range=[part]):
        logger.info(
            "refined %s of %s again, revision %d: %s",
            part,
            stream.name,
            restatement.revision,
            ", ".join(f"{count} {name}" for name, count in found.items()) or "no rows",
            extra={
                "event.action": "restate",
                "adx.counts": found,
                "adx.revision": restatement.revision,
            },
        )


def _only_topic_id(platform: Platform, stream: Stream) -> str:
    ids = sorted({s.topic_id for s in known_sources(platform.storage, stream.topic)})
    if not ids:
        raise LakeError(f"nothing of {stream.name} was ever landed: ingest first")
    if len(ids) > 1:
        raise LakeError(
            f"the lake knows {len(ids)} incarnations of topic {stream.topic}: say which one by "
            f"topic_id, one of {', '.join(ids)}"
        )
    return ids[0]


def _checked_rows(
    platform: Platform,
    stream: Stream,
    topic_id: str,
    ranges: Iterable[OffsetRange],
    *,
    from_broker: bool,
) -> pl.DataFrame:
    """The refined rows of the range as they are, after proof that all can be refined again."""
    events = _events(platform, stream)
    for item in ranges:
        refined = events.next_offset(topic_id, item.partition)
        if refined is None or refined < item.end:
            raise LakeError(
                f"{stream.name} {item}: partition {item.partition} is refined up to {refined}; "
                "only what was refined can be refined again, ingest first or ask for less"
            )
    rows = _event_rows(events, topic_id, ranges)
    if rows.is_empty():
        raise LakeError(f"{stream.name}: the lake has no rows in {_named(ranges)}")
    landing = raw_snapshot(platform.storage, stream.topic)
    landed = [
        landing.read(
            topic_id, item.partition, item.start, item.end, columns=["partition", "offset"]
        )
        for item in ranges
        if landing is not None
    ]
    gone = rows.join(pl.concat(landed), on=["partition", "offset"], how="anti") if landed else rows
    if gone.height and from_broker:
        lowest = gone.group_by("partition").agg(pl.col("offset").min()).sort("partition")
        require_at_broker(platform, stream, topic_id, lowest.iter_rows())
    elif gone.height:
        first = gone.sort("partition", "offset").row(0, named=True)
        raise RawPastRetention(
            f"{stream.name}: raw bytes of {gone.height} of {rows.height} rows are past the "
            f"landing's retention, the first at partition {first['partition']}, offset "
            f"{first['offset']}; nothing was changed. Ask for a later range, or with "
            "--from-broker if the broker still has them."
        )
    return rows


def _events(platform: Platform, stream: Stream) -> Snapshot:
    events = events_snapshot(platform.storage, stream.topic, stream.events_schema)
    if events is None:
        raise LakeError(f"nothing of {stream.name} was ever refined: ingest first")
    return events


def _event_rows(events: Snapshot, topic_id: str, ranges: Iterable[OffsetRange]) -> pl.DataFrame:
    columns = ["partition", "offset", "gap_length", "disposition", "reason_code"]
    return pl.concat(
        events.read(topic_id, item.partition, item.start, item.end, columns=columns)
        for item in ranges
    )


def _parts(ranges: Iterable[OffsetRange], limit: int) -> Iterator[OffsetRange]:
    for item in ranges:
        for start in range(item.start, item.end, limit):
            yield OffsetRange(item.partition, start, min(start + limit, item.end))


def _named(ranges: Iterable[OffsetRange]) -> str:
    return ", ".join(str(item) for item in ranges)
