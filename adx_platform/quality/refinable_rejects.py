"""Rejects that would be accepted if they were refined now.

Belongs here: finding them in the lake, and the offsets to refine again. Does not belong here:
refining them (``pipeline.remedies``), or whether and how often it is tried
(``quality.incidents``).

Only a reason that lies outside of the message can pass away: a writer schema that was not
registered. As long as it is not, nothing is proposed: another try would end like the first. Once
it is, the rejects wait for nothing, and a check that finds some fails until they are refined.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from adx_platform.codecs.registry import (
    SchemaRegistry,
    UnknownSchemaIdError,
    missing_schema_id,
)
from adx_platform.contracts.dispositions import Disposition, ReasonCode
from adx_platform.contracts.offsets import OffsetRange, join_near
from adx_platform.contracts.streams import Stream
from adx_platform.lake.reading import Snapshot, events_snapshot, raw_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.quality.incidents.model import Action, Remedy

REASON: Final = ReasonCode.UNKNOWN_SCHEMA_ID
MOST_RANGES: Final = 50
"""A proposal is kept in an event and an incident: beyond this, neighbours are joined."""

_WIDEST = 2**62


@dataclass(frozen=True, slots=True)
class RefinableRejects:
    """What was found.

    Attributes:
        waiting: rejects whose writer schema is still not registered.
        refinable: rejects whose writer schema is registered by now.
        schema_ids: of the latter.
        remedy: refines them again; null if there are none.
    """

    waiting: int
    refinable: int
    schema_ids: tuple[int, ...]
    remedy: Remedy | None

    def explain(self) -> str:
        """One sentence for a person."""
        if self.refinable:
            named = ", ".join(map(str, self.schema_ids))
            return (
                f"{self.refinable:,} rejects can be refined again: their writer schema is "
                f"registered by now ({named})"
            )
        if self.waiting:
            return f"{self.waiting:,} rejects wait for their writer schema to be registered"
        return "no reject waits for a writer schema"


def refinable_rejects(
    storage: LakeStorage, stream: Stream, registry: SchemaRegistry
) -> RefinableRejects:
    """Look for rejects that a registered schema has made good.

    Args:
        storage: of the lake.
        stream: a stream whose messages name their writer schema.
        registry: knows what is registered now.

    Raises:
        LakeError: the lake cannot be read.
        RegistryError: the registry cannot be asked.
    """
    events = events_snapshot(storage, stream.topic, stream.events_schema)
    raw = raw_snapshot(storage, stream.topic)
    if events is None or raw is None:
        return RefinableRejects(0, 0, (), None)
    rows = events.collect(
        events.scan()
        .filter(
            pl.col("disposition") == str(Disposition.REJECTED), pl.col("reason_code") == str(REASON)
        )
        .select("topic_id", "partition", "offset", "reason")
    )
    if rows.is_empty():
        return RefinableRejects(0, 0, (), None)
    known = {
        reason: schema_id
        for reason in rows["reason"].unique()
        if (schema_id := missing_schema_id(reason)) is not None and _knows(registry, schema_id)
    }
    good = _with_bytes(rows.filter(pl.col("reason").is_in(list(known))), raw)
    if good.is_empty():
        return RefinableRejects(rows.height, 0, (), None)
    # A remedy is about one topic: what an earlier one of that name has left comes next.
    topic_id = str(good["topic_id"].max())
    good = good.filter(pl.col("topic_id") == topic_id)
    remedy = Remedy(
        action=Action.REFINE_AGAIN,
        stream=stream.name,
        topic_id=topic_id,
        ranges=_bounded(
            OffsetRange(int(p), int(o), int(o) + 1)
            for p, o in good.select("partition", "offset").iter_rows()
        ),
        reasons=(str(REASON),),
    )
    ids = tuple(sorted({known[reason] for reason in good["reason"].unique()}))
    return RefinableRejects(rows.height - good.height, good.height, ids, remedy)


def _knows(registry: SchemaRegistry, schema_id: int) -> bool:
    try:
        registry.schema(schema_id)
    except UnknownSchemaIdError:
        return False
    return True


def _with_bytes(rows: pl.DataFrame, raw: Snapshot) -> pl.DataFrame:
    """Those that the landing still has: beyond its retention nothing can be refined again."""
    firsts = [
        (topic_id, partition, raw.first_offset(topic_id, partition))
        for topic_id, partition in rows.select("topic_id", "partition").unique().iter_rows()
    ]
    kept = pl.DataFrame(
        firsts,
        schema={
            "topic_id": rows.schema["topic_id"],
            "partition": rows.schema["partition"],
            "first": rows.schema["offset"],
        },
        orient="row",
    )
    return rows.join(kept, on=["topic_id", "partition"]).filter(pl.col("offset") >= pl.col("first"))


def _bounded(offsets: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    """The fewest ranges, at most ``MOST_RANGES``: sound offsets between them come along.

    Refining a sound row again gives the same row.
    """
    ranges = join_near(offsets, 0)
    distance = 1
    while len(ranges) > MOST_RANGES and distance < _WIDEST:
        ranges = join_near(ranges, distance)
        distance *= 2
    return ranges
