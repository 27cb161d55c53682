"""Mend a stream whose lake files are damaged: take them out, land again, refine again.

Belongs here: the order of the steps. Does not belong here: finding damage (``lake.integrity``),
or where missing raw rows come from (``refill``).

Every step is announced in the journal (``lake.repairs``) before it is done, and each can be done
again, so that a repair that was killed is finished by the next one. Nothing is destroyed: damaged
files are moved to ``quarantine/`` under the lake's root. Several repairs at once, and an ingest of
the same lane beside them, are safe: every commit has one winner.

1. Announce each damaged file with the offsets between which its rows lie, and offsets whose rows
   are missing without a damaged file.
2. Move it aside, then take it out of the table. Cursors stay where they are.
3. Land exactly the missing raw offsets again.
4. Restate the missing events from the raw rows; a warehouse sees that as any restatement.
5. Close the entry, or say what is beyond repair: conservation stays broken, as is the truth.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from adx_platform.contracts.offsets import OffsetRange, merge_ranges, total_count
from adx_platform.contracts.streams import Stream, stream_named
from adx_platform.faultpoints import reach
from adx_platform.lake.errors import LakeBeyondRepair
from adx_platform.lake.files import LakeFiles
from adx_platform.lake.integrity import (
    DamagedFile,
    damaged_files,
    missing_files,
    remove_missing,
)
from adx_platform.lake.repairs import (
    RepairEntry,
    Step,
    announce_repair,
    note_repair,
    open_repairs,
    repair_entries,
)
from adx_platform.lake.restatements import Restatement
from adx_platform.lake.sources import known_sources
from adx_platform.lake.tables import LakeTable, events_table, raw_table
from adx_platform.pipeline.mending import BeyondRepair, TopicMender
from adx_platform.pipeline.missing_rows import announce_missing_rows
from adx_platform.pipeline.platform import Platform

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RepairReport:
    """What a repair did.

    Attributes:
        stream: name of the stream.
        files: what was damaged and is out of its table now, those of an unfinished repair included.
        landed: offsets that were landed again.
        lost: offsets that were recorded as lost, because a person accepted it.
        past_retention: raw offsets that nobody has any more, while their refined rows are kept.
        restatements: what was refined again.
        seconds: the whole time.
    """

    stream: str
    files: tuple[str, ...]
    landed: int
    lost: int
    past_retention: tuple[OffsetRange, ...]
    restatements: tuple[Restatement, ...]
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.files or self.landed or self.lost or self.restatements)

    def explain(self) -> str:
        """One sentence for a person."""
        if not self.changed:
            return f"{self.stream}: every file is sound; nothing to repair"
        refined = sum(r.end - r.start for r in self.restatements)
        parts = [
            f"{len(self.files)} damaged files moved to quarantine/",
            f"{self.landed:,} offsets landed again",
            f"{refined:,} offsets refined again",
        ]
        if self.lost:
            parts.append(f"{self.lost:,} offsets recorded as lost")
        if self.past_retention:
            count = total_count(self.past_retention)
            parts.append(f"raw bytes of {count:,} offsets are past retention, their events kept")
        return f"{self.stream}: {', '.join(parts)}"


@dataclass
class _Work:
    """What one run of a repair has found out and done."""

    files: set[str] = field(default_factory=set)
    landed: int = 0
    lost: int = 0
    past: list[OffsetRange] = field(default_factory=list)
    restatements: list[Restatement] = field(default_factory=list)
    beyond: list[BeyondRepair] = field(default_factory=list)


def repair_stream(
    platform: Platform,
    stream: str,
    *,
    within: Collection[OffsetRange] = (),
    accept_loss: bool = False,
) -> RepairReport:
    """Find the damaged files of a stream and put back what they held.

    Args:
        platform: the opened parts; the broker is asked only where raw rows are missing.
        stream: name of the stream.
        within: read as a whole only files that may hold these offsets; empty: all of them. Size
            and footer of every file are looked at. Missing rows are looked for only without it.
        accept_loss: a person's decision: what nobody has any more is recorded as lost, as offsets
            are that the broker truncated before they were read.

    Returns:
        What was done; running it again finds nothing to do.

    Raises:
        ValueError: there is no such stream.
        LakeBeyondRepair: some offsets are nowhere any more; all others are mended.
        TopicReplaced: the broker's records are not those that were landed; none was used.
        StreamError: the broker failed; what is open is finished by the next repair.
        LakeError: the lake failed; the same.
    """
    started = time.monotonic()
    known = stream_named(stream)
    work = _Work()
    for table in _tables(platform, known):
        _take_out(platform, known, table, within)
    if not within:
        announce_missing_rows(platform, known)
    entries = repair_entries(platform.storage, known.topic)
    for number, of_number in open_repairs(entries).items():
        _mend(platform, known, number, of_number, work, accept_loss=accept_loss)
    if work.beyond:
        raise LakeBeyondRepair(_beyond_message(stream, work.beyond))
    return RepairReport(
        stream=stream,
        files=tuple(sorted(work.files)),
        landed=work.landed,
        lost=work.lost,
        past_retention=merge_ranges(work.past),
        restatements=tuple(work.restatements),
        seconds=time.monotonic() - started,
    )


def _tables(platform: Platform, stream: Stream) -> tuple[LakeTable, LakeTable]:
    return (
        raw_table(platform.storage, stream.topic),
        events_table(platform.storage, stream.topic, stream.events_schema),
    )


def _take_out(
    platform: Platform, stream: Stream, table: LakeTable, within: Collection[OffsetRange]
) -> None:
    """Announce the damaged files of a table, move them aside and take them out of it."""
    # One damaged file outside of the range would stop every read of the steps to come.
    looked_at = [*damaged_files(table, deep=True, within=within), *damaged_files(table)]
    damaged = list({item.path: item for item in looked_at}.values())
    open_now = open_repairs(repair_entries(platform.storage, stream.topic))
    announced = {
        (entry.layer, entry.path): number
        for number, entries in open_now.items()
        for entry in entries
    }
    new = [item for item in damaged if (item.layer, item.path) not in announced]
    if new:
        number = announce_repair(
            platform.storage, [e for item in new for e in _entries(stream.topic, item)]
        )
        announced |= {(item.layer, item.path): number for item in new}
        reach("repair.announced")
    files = LakeFiles(platform.storage, platform.storage.uri)
    for item in damaged:
        logger.warning("%s", item.explain())
        path = f"{table.name}/{item.path}"
        files.move(path, f"quarantine/{announced[item.layer, item.path]}/{path}")
        reach("repair.moved")
    handle = table.find()
    if not damaged or handle is None:
        return
    unannounced = set(missing_files(handle)) - {item.path for item in damaged}
    if unannounced:
        # Lost in this very moment: they get their entry before they leave the table.
        _take_out(platform, stream, table, within=())
        return
    remove_missing(table)
    reach("repair.taken_out")


def _entries(topic: str, item: DamagedFile) -> list[RepairEntry]:
    return [
        RepairEntry(
            number=0,
            step=Step.ANNOUNCED,
            topic=topic,
            layer=item.layer,
            path=item.path,
            damage=item.kind.value,
            topic_id=item.topic_id,
            span=span,
            rows=item.rows,
        )
        for span in (item.ranges or (None,))
    ]


def _mend(
    platform: Platform,
    stream: Stream,
    number: int,
    entries: Iterable[RepairEntry],
    work: _Work,
    *,
    accept_loss: bool,
) -> None:
    """Put back what the files of one repair held, and close it if nothing is left to do."""
    entries = list(entries)
    announced = [entry for entry in entries if entry.step == Step.ANNOUNCED]
    work.files |= {f"{e.layer}/{stream.topic}/{e.path}" for e in announced if e.path is not None}
    beyond: list[BeyondRepair] = []
    for topic_id in sorted({s.topic_id for s in known_sources(platform.storage, stream.topic)}):
        mender = TopicMender(platform, stream, number, topic_id, accept_loss)
        beyond += mender.mend(announced)
        work.landed += mender.landed
        work.lost += mender.lost
        work.past += mender.past
        work.restatements += mender.restatements
    work.beyond += beyond
    noted = {(e.layer, e.topic_id, e.span) for e in entries if e.step == Step.BEYOND_REPAIR}
    notes = [
        RepairEntry(
            number,
            Step.BEYOND_REPAIR,
            stream.topic,
            item.layer,
            topic_id=item.topic_id,
            span=item.span,
        )
        for item in beyond
        if (item.layer, item.topic_id, item.span) not in noted
    ]
    if not beyond:
        notes.append(RepairEntry(number, Step.FINISHED, stream.topic, ""))
    note_repair(platform.storage, notes)


def _beyond_message(stream: str, beyond: Iterable[BeyondRepair]) -> str:
    ranges: dict[tuple[str, str], list[OffsetRange]] = {}
    for item in beyond:
        ranges.setdefault((item.layer, item.topic_id), []).append(item.span)
    named = "; ".join(
        f"{layer} of topic id {topic_id}: {', '.join(map(str, merge_ranges(spans)))}"
        for (layer, topic_id), spans in sorted(ranges.items())
    )
    return (
        f"{stream}: neither the lake nor the broker has these offsets any more: {named}. Nothing "
        "was invented for them. Bring the broker's data back from a backup and run `adx repair` "
        "again (damaged files are in quarantine/), or record them as lost: `adx repair --stream "
        f"{stream} --accept-loss`"
    )
