"""What a lake on this machine does for its commits: files that are on disk before anyone sees them.

Belongs here: writing the rows of an append and describing the files to the table's log, and having
a commit on disk. Does not belong here: the commit (``commits``), or rewriting files that are part
of a table (``rewriting``).

The Delta client has a writer of its own, which stores elsewhere are written with. On a disk it
leaves to the operating system when a file gets there: a power cut right after a commit could leave
a log that names files without content. It also takes 10 us of CPU for a bid request's row of 71
columns where polars takes 5 (measured 2026-11).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote
from uuid import uuid4

import polars as pl
from deltalake.transaction import AddAction

from adx_platform.lake.file_statistics import FileStatistics
from adx_platform.lake.files import LakeFiles
from adx_platform.lake.tables import LakeTable

_NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
_ROW: Final = "adx_row"


def write_files(table: LakeTable, frame: pl.DataFrame) -> list[AddAction]:
    """Write ``frame`` as one file per partition of the table.

    Args:
        table: of a local lake.
        frame: rows with all columns of the stored table, and no others; at least one row.

    Returns:
        What the log is to say of each file. Until a commit says it, no reader sees them.

    Raises:
        LakeUnavailable: the disk failed or is full; what was written is deleted again.
    """
    written: list[AddAction] = []
    with table.storage.explained(f"writing files of table {table.name}"):
        files = _files(table)
        try:
            for values, part in _partitions(table, frame):
                written.append(_write(files, table, values, part))
            files.sync_names([action.path for action in written])
        except BaseException:
            delete_files(table, written)
            raise
    return written


def delete_files(table: LakeTable, written: Iterable[AddAction]) -> None:
    """Delete files that no commit names and none will: those of a writer that lost its range.

    Raises:
        LakeUnavailable: the disk failed.
    """
    files = _files(table)
    with table.storage.explained(f"deleting files of table {table.name}"):
        for action in written:
            files.delete(action.path)


def committed_version(table: LakeTable, before: int, path: str) -> int:
    """The version of the table that first has the file ``path``; its log entry is on disk by then.

    The client does not tell which version it has committed, and others may commit at the same time.

    Args:
        table: of a local lake.
        before: a version of it that does not have the file yet.
        path: of a file that was committed since.

    Raises:
        LakeUnavailable: the disk failed; the commit stands.
    """
    files = _files(table)
    mark = PurePosixPath(path).name.encode()
    with table.storage.explained(f"reading the log of table {table.name}"):
        for version in count(before + 1):
            with files.open(_entry(version)) as file:
                is_it = mark in file.read()
            if is_it:
                break
        files.sync([_entry(version)])
    return version


def keep_commit(table: LakeTable, version: int) -> None:
    """Have the files and the log entry of a commit that the client wrote on disk.

    Args:
        table: of any lake; a remote store keeps what it has accepted.
        version: the commit's.

    Raises:
        LakeUnavailable: the disk failed; the commit stands.
    """
    if not table.storage.is_local:
        return
    files = _files(table)
    with table.storage.explained(f"committing to table {table.name}"):
        with files.open(_entry(version)) as file:
            actions = [json.loads(line) for line in file.read().splitlines()]
        added = [unquote(action["add"]["path"]) for action in actions if "add" in action]
        files.sync([*added, _entry(version)])


def _files(table: LakeTable) -> LakeFiles:
    return LakeFiles(table.storage, table.storage.table_uri(table.name))


def _entry(version: int) -> str:
    return f"_delta_log/{version:020}.json"


def _partitions(
    table: LakeTable, frame: pl.DataFrame
) -> Iterator[tuple[dict[str, str | None], pl.DataFrame]]:
    if not table.partition_by:
        yield {}, frame
        return
    # A filter for each part takes three times as long on the chunks that refining leaves behind.
    places = frame.select(table.partition_by).with_row_index(_ROW)
    grouped = places.group_by(table.partition_by, maintain_order=True).agg(_ROW)
    content = frame.drop(table.partition_by)
    for values, rows in zip(grouped.drop(_ROW).iter_rows(), grouped[_ROW], strict=True):
        texts = (None if value is None else str(value) for value in values)
        yield dict(zip(table.partition_by, texts, strict=True)), content[rows]


def _write(
    files: LakeFiles, table: LakeTable, values: Mapping[str, str | None], part: pl.DataFrame
) -> AddAction:
    folders = [
        f"{name}={_NULL_PARTITION if value is None else quote(value, safe='')}"
        for name, value in values.items()
    ]
    path = "/".join([*folders, f"part-00000-{uuid4()}-c000.zstd.parquet"])
    with files.create(path) as file:
        part.write_parquet(
            file, compression="zstd", compression_level=1, statistics=table.column_statistics
        )
    statistics = FileStatistics(table.statistics)
    statistics.add(part)
    return AddAction(
        path=path,
        size=files.states([path])[0].size or 0,
        partition_values=values,
        modification_time=round(time.time() * 1000),
        data_change=True,
        stats=statistics.document(),
    )
