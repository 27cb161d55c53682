"""Which (topic, topic id, partition) the lake has ever seen, so that readers can enumerate cursors.

Belongs here: the small table ``sources``. Does not belong here: the offsets themselves, which are
transactions of the data tables. Delta cannot list its application ids, and asking the rows for
their distinct partitions would cost more with every day of history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
from deltalake import write_deltalake

from adx_platform.lake.reading import Snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, event_writer_properties

SCHEMA = pl.Schema({"topic": pl.String, "topic_id": pl.String, "partition": pl.Int32})


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One partition of one incarnation of a topic."""

    topic: str
    topic_id: str
    partition: int


def sources_table(storage: LakeStorage) -> LakeTable:
    """The table of sources."""
    return LakeTable(storage, "sources", SCHEMA)


def known_sources(storage: LakeStorage, topic: str) -> tuple[Source, ...]:
    """Every partition of ``topic`` ever landed, earlier incarnations included, in order."""
    handle = sources_table(storage).find()
    if handle is None:
        return ()
    snapshot = Snapshot(sources_table(storage), handle)
    rows = snapshot.collect(snapshot.scan())
    mine = rows.filter(pl.col("topic") == topic).unique().sort("topic_id", "partition")
    return tuple(Source(*row) for row in mine.select(SCHEMA.names()).iter_rows())


def register_sources(
    storage: LakeStorage, topic: str, topic_id: str, partitions: Iterable[int]
) -> None:
    """Make sure that the partitions are known; call it before their first commit.

    Two workers may both add the same row: readers count it once.
    """
    known = {(s.topic_id, s.partition) for s in known_sources(storage, topic)}
    new = [(topic, topic_id, p) for p in sorted(partitions) if (topic_id, p) not in known]
    if not new:
        return
    with storage.explained("committing to table sources"):
        write_deltalake(
            sources_table(storage).open(),
            pl.DataFrame(new, schema=SCHEMA, orient="row"),
            mode="append",
            writer_properties=event_writer_properties(),
        )
