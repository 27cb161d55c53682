"""Taking the bytes of single messages out of the landing, without a hole where they were.

Belongs here: the commit. Does not belong here: whose
messages (``pipeline.erasure``), or their refined rows, which a restatement replaces.

The row stays with its offset and time, so that every offset still has one row; key, value and
headers are gone. A row without its bytes cannot be refined again: what it was refined to stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from deltalake.exceptions import CommitFailedError

from adx_platform.lake.commits import MAX_ATTEMPTS
from adx_platform.lake.erased_rows import ERASED_VALUE
from adx_platform.lake.errors import CommitContention
from adx_platform.lake.integrity import damage_explained
from adx_platform.lake.local_files import keep_commit
from adx_platform.lake.tables import LakeTable, raw_writer_properties

_AT_ONCE: Final = 500
"""Offsets of one commit: they are listed in its condition."""


def erase_messages(table: LakeTable, topic_id: str, partition: int, offsets: Iterable[int]) -> None:
    """Replace the bytes of landed messages by the marker.

    Args:
        table: a landing.
        topic_id: identity of the topic.
        partition: Kafka partition.
        offsets: of messages, not of gap rows.

    Raises:
        CommitContention: other writers replaced the same files each time.
        LakeFileDamaged: a file is missing or unreadable.
        LakeUnavailable: the storage failed; what was committed stays.
    """
    ordered = sorted(offsets)
    for first in range(0, len(ordered), _AT_ONCE):
        _erase(table, topic_id, partition, ordered[first : first + _AT_ONCE])


def delete_replaced_now(table: LakeTable) -> None:
    """Delete every file that the newest version does not have.

    A reader that holds an older snapshot of the table loses it: that is what an erasure asks for.

    Raises:
        LakeUnavailable: the storage failed.
    """
    handle = table.find()
    if handle is None:
        return
    with table.storage.explained(f"cleaning up table {table.name}"):
        handle.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def _erase(table: LakeTable, topic_id: str, partition: int, offsets: list[int]) -> None:
    named = topic_id.replace("'", "''")
    listed = ", ".join(str(offset) for offset in offsets)
    for _ in range(MAX_ATTEMPTS):
        handle = table.open()
        try:
            with damage_explained(table, f"erasing in table {table.name}"):
                handle.update(
                    updates={
                        "value": f"arrow_cast('{ERASED_VALUE.decode()}', 'Binary')",
                        "key": "NULL",
                        "headers": "NULL",
                    },
                    predicate=(
                        f"topic_id = '{named}' AND partition = {partition} "
                        f'AND "offset" >= {offsets[0]} AND "offset" <= {offsets[-1]} '
                        f'AND "offset" IN ({listed}) AND gap_kind IS NULL'
                    ),
                    writer_properties=raw_writer_properties(),
                )
            keep_commit(table, handle.version())
        except CommitFailedError:
            continue
        return
    raise CommitContention(
        f"table {table.name}: {MAX_ATTEMPTS} erasures in a row met another writer; run again"
    )
