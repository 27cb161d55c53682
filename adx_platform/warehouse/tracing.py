"""From a load back to its lake commit and its Kafka offsets.

Belongs here: reading the loader's books. Does not belong here: writing them (``loader``), or how a
trace is shown.

Every row of the warehouse carries the ``load_id`` that brought it (in a mart: the newest one among
the rows it was made from), so a figure is traced by asking for its load.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import polars as pl

from adx_platform.errors import AdxError

Query: TypeAlias = Callable[[str], pl.DataFrame]
"""Runs one SQL text against a warehouse."""


class UnknownLoadError(AdxError):
    """The warehouse has no such load."""


@dataclass(frozen=True, slots=True)
class TracedRange:
    """Offsets of one partition that a load brought.

    ``kind``: ``forward``, or ``restatement`` where it replaced rows. ``end`` is not included.
    """

    topic_id: str
    partition: int
    start: int
    end: int
    kind: str
    revision: int


@dataclass(frozen=True, slots=True)
class TracedLoad:
    """One load: of which stream, from which commit of the lake, and which offsets."""

    load_id: int
    stream: str
    lake_version: int
    loaded_at: datetime
    rows: int
    ranges: tuple[TracedRange, ...]


def trace_loads(query: Query, load_ids: Collection[int]) -> tuple[TracedLoad, ...]:
    """Trace each load to its commit and offsets, in the order of their ids.

    Raises:
        UnknownLoadError: the warehouse does not have one of them.
    """
    if not load_ids:
        return ()
    wanted = ", ".join(str(int(load_id)) for load_id in sorted(load_ids))
    loads = query(
        "select load_id, stream, lake_version, loaded_at, row_count from control.loads "  # noqa: S608 integers only
        f"where load_id in ({wanted}) order by load_id"
    )
    missing = set(load_ids) - set(loads["load_id"].to_list())
    if missing:
        raise UnknownLoadError(
            f"the warehouse has no load {min(missing)}: `load_id` of any row in it names one"
        )
    ranges = query(
        "select load_id, topic_id, partition_id, start_offset, end_offset, kind, revision "  # noqa: S608 integers only
        f"from control.load_ranges where load_id in ({wanted}) "
        "order by load_id, topic_id, partition_id, start_offset"
    )
    by_load: dict[int, list[TracedRange]] = {}
    for load_id, *values in ranges.iter_rows():
        by_load.setdefault(int(load_id), []).append(TracedRange(*values))
    return tuple(
        TracedLoad(**row, ranges=tuple(by_load.get(row["load_id"], ())))
        for row in loads.rename({"row_count": "rows"}).iter_rows(named=True)
    )


def newest_loads(query: Query, *, up_to: int) -> tuple[TracedLoad, ...]:
    """Of each stream the newest load not after ``up_to``, traced; in the order of their ids."""
    newest = query(
        "select max(load_id) as load_id from control.loads "  # noqa: S608 an integer only
        f"where load_id <= {int(up_to)} group by stream"
    )
    return trace_loads(query, [int(load_id) for load_id in newest["load_id"]])
