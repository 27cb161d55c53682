"""How far the warehouse has loaded the lake, noted in the lake, where writers can see it.

Belongs here: the note. Does not belong here: the loader's own cursor, which is in the warehouse and
is the only one that a load goes by; this one may be older, never ahead.

A DuckDB file can be opened by one process only, and a resident loop may run on another machine: so
the loader tells the lake. The tables have no rows: like every cursor the offsets are application
transactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl
from deltalake import CommitProperties, Transaction

from adx_platform.lake.commits import after_commit, cursor_app_id
from adx_platform.lake.cursors import OffsetVector
from adx_platform.lake.sources import known_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable

_SCHEMA: Final = pl.Schema({"note": pl.String})


def loaded_table(storage: LakeStorage, topic: str) -> LakeTable:
    """The table whose log has the offsets of ``topic``."""
    return LakeTable(storage, f"loaded/{topic}", _SCHEMA)


def note_loaded(storage: LakeStorage, topic: str, cursors: Mapping[tuple[str, int], int]) -> None:
    """Note the warehouse's cursors: (topic id, partition) -> next offset to load.

    Raises:
        LakeUnavailable: the storage failed.
        CommitFailedError: another loader noted at the same moment.
    """
    changed = set(cursors.items()) - set(loaded_offsets(storage, topic).items())
    if not changed:
        return
    table = loaded_table(storage, topic)
    handle = table.open()
    with storage.explained(f"committing to table {table.name}"):
        handle.create_write_transaction(
            [],
            mode="append",
            schema=handle.schema(),
            commit_properties=CommitProperties(
                app_transactions=[
                    Transaction(cursor_app_id(topic_id, partition), offset)
                    for (topic_id, partition), offset in sorted(changed)
                ]
            ),
            post_commithook_properties=after_commit(handle),
        )


def loaded_offsets(storage: LakeStorage, topic: str) -> OffsetVector:
    """Next offset to load of every partition that was noted; empty if nothing loads this lake.

    Raises:
        LakeUnavailable: the storage failed.
    """
    handle = loaded_table(storage, topic).find()
    if handle is None:
        return {}
    found = {
        (source.topic_id, source.partition): handle.transaction_version(
            cursor_app_id(source.topic_id, source.partition)
        )
        for source in known_sources(storage, topic)
    }
    return {key: offset for key, offset in found.items() if offset is not None}


def not_loaded(refined: OffsetVector, loaded: OffsetVector) -> int:
    """Refined offsets that the warehouse lacks, over the partitions that it knows."""
    return sum(max(0, refined.get(key, 0) - offset) for key, offset in loaded.items())
