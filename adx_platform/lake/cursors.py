"""How far each partition was landed, refined and restated: offset vectors, read from the tables.

Belongs here: reading cursors. Does not belong here: moving them, which only a commit of rows does.
"""

from __future__ import annotations

import polars as pl

from adx_platform.lake.commits import cursor_app_id
from adx_platform.lake.sources import known_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, events_table, raw_table

OffsetVector = dict[tuple[str, int], int]
"""(topic id, partition) -> next offset."""


def landed_offsets(storage: LakeStorage, topic: str) -> OffsetVector:
    """Next offset to land of every partition that was ever landed.

    Raises:
        LakeUnavailable: the storage failed.
    """
    return _offsets(raw_table(storage, topic), topic)


def refined_offsets(storage: LakeStorage, topic: str) -> OffsetVector:
    """Next offset to refine of every partition that was ever refined.

    Raises:
        LakeUnavailable: the storage failed.
    """
    return _offsets(events_table(storage, topic, pl.Schema()), topic)


def _offsets(table: LakeTable, topic: str) -> OffsetVector:
    sources = known_sources(table.storage, topic)
    handle = table.find()
    if handle is None:
        return {}
    versions = {
        (s.topic_id, s.partition): handle.transaction_version(
            cursor_app_id(s.topic_id, s.partition)
        )
        for s in sources
    }
    return {key: version for key, version in versions.items() if version is not None}
