"""Put back what the damaged files of one topic held: land again, then refine again.

Belongs here: the missing offsets of one incarnation of a topic, once the files are out of their
tables. Does not belong here: taking the files out (``repair``), or where raw rows come from
(``refill``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from adx_platform.contracts.offsets import (
    OffsetRange,
    join_near,
    merge_ranges,
    total_count,
    within_ranges,
    without_ranges,
)
from adx_platform.contracts.streams import Stream
from adx_platform.faultpoints import reach
from adx_platform.lake.errors import CommitContention, RangeAlreadyCommitted
from adx_platform.lake.holes import first_landed, missing_offsets
from adx_platform.lake.reading import Snapshot, events_snapshot
from adx_platform.lake.repairs import RepairEntry, Step, note_repair, past_retention
from adx_platform.lake.restatements import Restatement
from adx_platform.lake.sources import known_sources
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.refill import refill, with_whole_gaps
from adx_platform.pipeline.reprocess import restate, resume_restatements

RAW: Final = "raw"
EVENTS: Final = "events"
_REASON: Final = "a damaged lake file"
_MAX_LOSSES: Final = 4
# Restating a few sound rows between two holes costs less than another restatement.
_NEAR: Final = 1_000


@dataclass(frozen=True, slots=True)
class BeyondRepair:
    """Offsets of one layer that nobody has any more."""

    layer: str
    topic_id: str
    span: OffsetRange


@dataclass
class TopicMender:
    """The repair of one incarnation of a topic.

    Attributes:
        platform: the opened parts.
        stream: the stream.
        number: of the repair, for its notes in the journal.
        topic_id: which incarnation.
        accept_loss: record what nobody has any more as lost.
        landed: offsets that were landed again so far.
        lost: offsets that were recorded as lost so far.
        past: raw offsets that were found past retention so far.
        restatements: what was refined again so far.
    """

    platform: Platform
    stream: Stream
    number: int
    topic_id: str
    accept_loss: bool = False
    landed: int = 0
    lost: int = 0
    past: list[OffsetRange] = field(default_factory=list)
    restatements: list[Restatement] = field(default_factory=list)

    def mend(self, announced: Iterable[RepairEntry]) -> tuple[BeyondRepair, ...]:
        """Land what is missing, then refine what is missing.

        Args:
            announced: the entries of the repair's files.

        Returns:
            What nobody has any more.

        Raises:
            TopicReplaced: the broker's records are not those that were landed; none was used.
            StreamError, LakeError: the broker or the lake failed; mend again.
        """
        bounds = self._bounds(announced)
        raw, events = bounds.get(RAW, ()), bounds.get(EVENTS, ())
        if not raw and not events:
            return ()
        events_missing = self._event_holes(events)
        raw_gone = self._land_again(merge_ranges([*raw, *events_missing]), events_missing)
        self._refine_again(events)
        return (
            *(BeyondRepair(RAW, self.topic_id, s) for s in within_ranges(raw_gone, raw)),
            *(BeyondRepair(EVENTS, self.topic_id, s) for s in self._event_holes(events)),
        )

    @cached_property
    def _starts(self) -> Mapping[int, int]:
        """Where each partition began, where the landing's history still has it."""
        return first_landed(self.platform.landing(self.stream).handle, self.topic_id)

    def _bounds(self, announced: Iterable[RepairEntry]) -> dict[str, tuple[OffsetRange, ...]]:
        """By layer: the offsets between which the lost rows lie."""
        landing = self.platform.landing(self.stream)
        ends = {
            source.partition: landing.committed(self.topic_id, source.partition) or 0
            for source in known_sources(self.platform.storage, self.stream.topic)
            if source.topic_id == self.topic_id
        }
        whole = [
            OffsetRange(partition, min(self._starts.get(partition, 0), end), end)
            for partition, end in ends.items()
        ]
        found: dict[str, list[OffsetRange]] = {}
        for entry in announced:
            if entry.topic_id in {self.topic_id, None}:
                spans = whole if entry.span is None else [entry.span]
                found.setdefault(entry.layer, []).extend(spans)
        return {layer: within_ranges(spans, whole) for layer, spans in found.items()}

    def _land_again(
        self, wanted: tuple[OffsetRange, ...], events_missing: tuple[OffsetRange, ...]
    ) -> tuple[OffsetRange, ...]:
        """Land the missing raw offsets of ``wanted``, part by part; returns what nobody has.

        What an earlier repair found past retention stays so, unless its events are missing now.
        """
        limit = self.platform.settings.ingest.max_records_per_batch
        gone: list[OffsetRange] = []
        losses = 0
        while losses < _MAX_LOSSES:
            # The handle is the fence of this fill, so the hole is looked for in its version.
            landing = self.platform.landing(self.stream)
            snapshot = Snapshot(landing.table, landing.handle)
            past = without_ranges(self._past_retention(), events_missing)
            holes = without_ranges(self._holes(snapshot, wanted), [*past, *gone])
            if not holes:
                return merge_ranges(gone)
            refined = self._events()
            first = holes[0]
            part = OffsetRange(first.partition, first.start, min(first.end, first.start + limit))
            part = with_whole_gaps(part, first, self.topic_id, refined)
            found = refill(
                self.platform,
                self.stream,
                self.topic_id,
                part,
                landing=snapshot,
                refined=refined,
            )
            rows = found.with_losses(self.topic_id) if self.accept_loss else found.rows
            try:
                if rows.height:
                    landing.fill(rows, self.topic_id, part)
                    reach("repair.landed")
            except RangeAlreadyCommitted:
                losses += 1
                continue
            losses = 0
            self.landed += part.count - total_count([*found.past_retention, *found.gone])
            if self.accept_loss:
                self.lost += total_count(found.gone)
            else:
                gone += found.gone
            self._note_past_retention(found.past_retention)
        raise CommitContention(
            f"{self.stream.name}: another repair is at work on this stream; run again when it is "
            "done"
        )

    def _refine_again(self, bounds: tuple[OffsetRange, ...]) -> None:
        """Restate the missing events of which raw rows are there."""
        # What a repair that was killed has announced.
        self.restatements += resume_restatements(self.platform, self.stream.name)
        holes = self._event_holes(bounds)
        if not holes:
            return
        landing = self.platform.landing(self.stream)
        raw_holes = missing_offsets(Snapshot(landing.table, landing.handle), self.topic_id, holes)
        ranges = join_near(without_ranges(holes, raw_holes), _NEAR)
        self.restatements += restate(
            self.platform, self.stream, self.topic_id, ranges, reason=_REASON
        )
        reach("repair.refined")

    def _event_holes(self, bounds: tuple[OffsetRange, ...]) -> tuple[OffsetRange, ...]:
        events = self._events()
        return () if events is None or not bounds else self._holes(events, bounds)

    def _holes(
        self, snapshot: Snapshot, bounds: tuple[OffsetRange, ...]
    ) -> tuple[OffsetRange, ...]:
        """Missing offsets, without what lies before the beginning of a partition.

        A file of several partitions has one lowest offset: in another partition it may lie before
        anything that was ever landed. Where history does not tell, the refined rows do, which are
        never shed.
        """
        holes = missing_offsets(snapshot, self.topic_id, bounds)
        if self._starts:
            return holes
        kept = []
        for hole in holes:
            firsts = [
                first
                for known in (snapshot, self._events())
                if known is not None
                and (first := known.first_offset(self.topic_id, hole.partition)) is not None
            ]
            start = max(hole.start, min(firsts, default=hole.start))
            if start < hole.end:
                kept.append(OffsetRange(hole.partition, start, hole.end))
        return merge_ranges(kept)

    def _events(self) -> Snapshot | None:
        return events_snapshot(self.platform.storage, self.stream.topic, self.stream.events_schema)

    def _past_retention(self) -> list[OffsetRange]:
        known = past_retention(self.platform.storage, self.stream.topic)
        return [
            span
            for (topic_id, _), spans in known.items()
            if topic_id == self.topic_id
            for span in spans
        ]

    def _note_past_retention(self, spans: tuple[OffsetRange, ...]) -> None:
        self.past += spans
        note_repair(
            self.platform.storage,
            [
                RepairEntry(
                    self.number,
                    Step.PAST_RETENTION,
                    self.stream.topic,
                    RAW,
                    topic_id=self.topic_id,
                    span=span,
                )
                for span in spans
            ],
        )
