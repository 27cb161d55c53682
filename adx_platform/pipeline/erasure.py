"""Erasing a person from the lake.

Belongs here: finding the person's rows, and the order of the steps. Does not belong here: what is
taken from a row (``refine.suppression``), the landing's commit (``lake.erasing``), or the
warehouse, which learns of it as of any restatement.

The list of the erased comes first: whatever is refined after that holds nothing of the person, and
a run that dies is finished by running it again. The landed bytes come before the refined rows,
which are what leads to them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.faultpoints import reach
from adx_platform.lake.erased_rows import is_erased
from adx_platform.lake.erasing import delete_replaced_now, erase_messages
from adx_platform.lake.reading import Snapshot, events_snapshot, raw_snapshot
from adx_platform.lake.restatements import ERASURE
from adx_platform.lake.tables import events_table, raw_table
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.reprocess import restate, resume_restatements
from adx_platform.reference.erased import add_erased
from adx_platform.refine import text
from adx_platform.refine.pseudonyms import Pseudonymiser
from adx_platform.refine.suppression import hash_of, holds
from adx_platform.settings import PrivacySettings

logger = logging.getLogger(__name__)

SHORTEST_SEARCHED: Final = 8
"""Characters of a raw id that is looked for within rejected messages: a shorter text would be found
in other people's."""

_KEY: Final = ("topic_id", "partition", "offset")
_APART: Final = 1_000
"""Offsets nearer than this are replaced by one commit."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to erase.

    Attributes:
        pseudonyms: under the current key, and the previous one during a rotation.
        raw: spellings of the raw id, as bytes, to look for in rejected messages.
    """

    pseudonyms: frozenset[str]
    raw: tuple[bytes, ...] = ()

    @classmethod
    def of_raw_id(cls, raw_id: str, privacy: PrivacySettings) -> Person:
        """The person that senders call ``raw_id``.

        Raises:
            ValueError: nobody has this id (it is empty, or all zeros: tracking was refused).
        """
        frame = pl.DataFrame({"id": [raw_id]}, schema={"id": pl.String})
        normal = frame.select(text.user_id("id")).item()
        if not normal:
            raise ValueError("this is nobody's id: it is empty, or all zeros (tracking refused)")
        keys = (Pseudonymiser.current(privacy), Pseudonymiser.previous(privacy))
        pseudonyms = frozenset(key.of(normal) for key in keys if key is not None)
        spelt = {raw_id.strip(), normal, normal.lower(), normal.upper()}
        return cls(pseudonyms, tuple(sorted(spelling.encode() for spelling in spelt)))

    @property
    def is_searched_for(self) -> bool:
        """Whether the raw id is long enough to be looked for in rejected messages."""
        return bool(self.raw) and all(len(spelling) >= SHORTEST_SEARCHED for spelling in self.raw)


@dataclass(frozen=True, slots=True)
class StreamErasure:
    """What was found of the person in one stream, and erased unless it was only looked for.

    Attributes:
        stream: name of the stream.
        events: refined rows.
        messages: landed messages.
        rejected: how many of the messages had been rejected.
    """

    stream: str
    events: int
    messages: int
    rejected: int

    def explain(self) -> str:
        """One line for a person."""
        said = f"{self.stream}: {self.events:,} refined rows, {self.messages:,} landed messages"
        if self.rejected:
            said += f" ({self.rejected:,} of them rejected)"
        return said


def look_for(platform: Platform, person: Person) -> Iterator[StreamErasure]:
    """What :func:`erase_from_lake` would erase; nothing is changed.

    Raises:
        LakeError: the lake failed.
    """
    for stream in STREAMS.values():
        events, messages = _find(platform, stream, person)
        yield _report(stream, events, messages)


def erase_from_lake(
    platform: Platform, person: Person, *, vacuum_now: bool = False
) -> Iterator[StreamErasure]:
    """Erase the person from every stream of the lake, and note that it was done.

    Safe beside everything else, to interrupt, and to run again. What a resident loop refines in the
    seconds before it notices the list is found by the next run.

    Args:
        platform: the opened parts; no broker is needed.
        person: whom.
        vacuum_now: delete the replaced files at once; otherwise the upkeep does it when
            ``ADX_LAKE__VACUUM_AFTER`` has passed.

    Raises:
        LakeError: the lake failed; what was done stays done: run again.
    """
    add_erased(platform.settings.reference_dir, [hash_of(name) for name in person.pseudonyms])
    reach("erase.listed")
    done = []
    for stream in STREAMS.values():
        resume_restatements(platform, stream.name)
        events, messages = _find(platform, stream, person)
        landing = raw_table(platform.storage, stream.topic)
        for (topic_id, partition), mine in _by_partition(messages):
            erase_messages(landing, topic_id, partition, mine["offset"].to_list())
        reach("erase.landing")
        for topic_id, spans in _spans(events).items():
            restate(platform, stream, topic_id, spans, reason=ERASURE)
        if vacuum_now:
            delete_replaced_now(landing)
            delete_replaced_now(events_table(platform.storage, stream.topic, stream.events_schema))
        done.append(_report(stream, events, messages))
        yield done[-1]
    _note(platform, done)


def _find(platform: Platform, stream: Stream, person: Person) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys of the person's refined rows, and of their messages that still have their bytes."""
    nothing = pl.DataFrame(
        schema={"topic_id": pl.String, "partition": pl.Int32, "offset": pl.Int64}
    )
    events = events_snapshot(platform.storage, stream.topic, stream.events_schema)
    if events is None:
        return nothing, nothing.with_columns(rejected=pl.lit(value=False))
    rows = events.scan()
    theirs = holds(rows.collect_schema(), person.pseudonyms)
    found = events.collect(rows.filter(theirs).select(_KEY))
    return found, _messages(platform, stream, events, found, person)


def _messages(
    platform: Platform, stream: Stream, events: Snapshot, found: pl.DataFrame, person: Person
) -> pl.DataFrame:
    wanted = found.with_columns(rejected=pl.lit(value=False))
    landing = raw_snapshot(platform.storage, stream.topic)
    if landing is None:
        return wanted.clear()
    kept = landing.scan().filter(pl.col("gap_kind").is_null(), ~is_erased())
    if person.is_searched_for:
        # What was decoded is found by its pseudonym; only of what was not, the bytes must tell.
        rejected = events.scan().filter(pl.col("disposition") == str(Disposition.REJECTED))
        said = pl.any_horizontal(
            pl.col(name).bin.contains(spelling).fill_null(value=False)
            for name in ("value", "key")
            for spelling in person.raw
        )
        named = landing.collect(
            kept.filter(said).select(_KEY).join(rejected.select(_KEY), on=_KEY, how="semi")
        )
        wanted = pl.concat([wanted, named.with_columns(rejected=pl.lit(value=True))])
    there = landing.collect(kept.select(_KEY))
    return wanted.unique(_KEY).join(there, on=_KEY, how="semi")


def _report(stream: Stream, events: pl.DataFrame, messages: pl.DataFrame) -> StreamErasure:
    rejected = int(messages["rejected"].sum())
    return StreamErasure(stream.name, events.height, messages.height, rejected)


def _by_partition(rows: pl.DataFrame) -> Iterator[tuple[tuple[str, int], pl.DataFrame]]:
    for (topic_id, partition), mine in rows.group_by("topic_id", "partition"):
        yield (str(topic_id), int(str(partition))), mine


def _spans(rows: pl.DataFrame) -> dict[str, list[OffsetRange]]:
    """Ranges that cover the rows, few and short, by topic id."""
    spans: dict[str, list[OffsetRange]] = {}
    for (topic_id, partition), mine in _by_partition(rows):
        for start, end in _runs(mine["offset"].sort().to_list()):
            spans.setdefault(topic_id, []).append(OffsetRange(partition, start, end))
    return spans


def _runs(offsets: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for offset in offsets:
        if runs and offset - runs[-1][1] < _APART:
            runs[-1] = (runs[-1][0], offset + 1)
        else:
            runs.append((offset, offset + 1))
    return runs


def _note(platform: Platform, done: Collection[StreamErasure]) -> None:
    """One line in ``<home>/erasures.jsonl``: when and how much, and nothing that says who."""
    record = {
        "erased_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "streams": [asdict(item) for item in done],
    }
    platform.settings.home.mkdir(parents=True, exist_ok=True)
    with (platform.settings.home / "erasures.jsonl").open("a", encoding="utf-8") as audit:
        audit.write(json.dumps(record) + "\n")
        audit.flush()
        os.fsync(audit.fileno())
    events, messages = sum(i.events for i in done), sum(i.messages for i in done)
    logger.info(
        "erased a person: %d refined rows, %d landed messages",
        events,
        messages,
        extra={"event.action": "erase", "adx.events": events, "adx.messages": messages},
    )
