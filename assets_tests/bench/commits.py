"""What a small commit costs, and whether it costs more after many others.

Belongs here: planning and committing. Does not belong here: reading or refining, which do not
depend on how long the table's history is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.pipeline.platform import open_platform
from adx_platform.refine.batch import refine_batch
from adx_platform.streams.planner import plan
from adx_platform.streams.topics import Watermarks
from assets_tests.bench.cases import Bench
from assets_tests.bench.traffic import raw_batches

ROWS = 100
"""Rows of one commit: so few that the commit itself is the cost."""

_WINDOW = 50
_PARTITION = 0


@dataclass(frozen=True, slots=True)
class CommitCost:
    """Medians in milliseconds over the first and the last ``window`` of ``commits`` commits.

    To plan is to open the table, to read its cursor and to decide on a range.
    """

    table: str
    commits: int
    window: int
    first_plan_ms: float
    first_commit_ms: float
    last_plan_ms: float
    last_commit_ms: float


class _Handle(Protocol):
    def committed(self, topic_id: str, partition: int) -> int | None: ...

    def commit(self, frame: pl.DataFrame, topic_id: str, spans: list[OffsetRange]) -> int: ...


def commit_costs(bench: Bench, commits: int) -> list[CommitCost]:
    """Commit the same few rows again and again under offsets that go on, to raw and to events."""
    platform = open_platform(bench.settings("commits"))
    stream = AD_IMPRESSIONS
    raw = raw_batches(bench.home, stream.name, ROWS)[0]
    events = refine_batch(raw, platform.refine_context(stream))
    landed = list(_commits(lambda: platform.landing(stream), raw, commits))
    refined = list(_commits(lambda: platform.refining(stream), events, commits))
    return [_cost(f"raw/{stream.name}", landed), _cost(f"events/{stream.name}", refined)]


def _commits(
    open_handle: Callable[[], _Handle], frame: pl.DataFrame, commits: int
) -> Iterator[tuple[float, float]]:
    """Milliseconds of planning and of committing, commit by commit."""
    topic_id = str(frame["topic_id"][0])
    marks = {_PARTITION: Watermarks(0, commits * frame.height)}
    for number in range(commits):
        rows = frame.with_columns(pl.col("offset") + number * frame.height)
        started = time.perf_counter()
        handle = open_handle()
        committed = {_PARTITION: handle.committed(topic_id, _PARTITION)}
        reads = plan(committed, marks, max_records=frame.height).reads
        planned = time.perf_counter()
        handle.commit(rows, topic_id, list(reads))
        yield (planned - started) * 1000, (time.perf_counter() - planned) * 1000


def _cost(table: str, times: list[tuple[float, float]]) -> CommitCost:
    window = min(_WINDOW, len(times) // 2)
    first, last = times[:window], times[-window:]
    return CommitCost(
        table=table,
        commits=len(times),
        window=window,
        first_plan_ms=statistics.median(plan_ms for plan_ms, _ in first),
        first_commit_ms=statistics.median(commit_ms for _, commit_ms in first),
        last_plan_ms=statistics.median(plan_ms for plan_ms, _ in last),
        last_commit_ms=statistics.median(commit_ms for _, commit_ms in last),
    )
