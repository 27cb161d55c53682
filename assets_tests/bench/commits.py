"""What a small commit costs, and whether it costs more after many others.

Belongs here: planning and committing, with the upkeep as often as in production. Does not belong
here: reading or refining, which do not depend on how long the table's history is.

What is assumed of production: two lanes that each commit once a second (``lanes_per_topic``,
``follow.batch_interval``), so 60 commits between two merges of the resident loop
(``follow.merge_interval``) and 1,200 between two runs of the schedule `maintenance`. Here they
follow each other without a pause, so before the upkeep the entries of the log are given the age
that they would have then. The time of the upkeep itself is told apart.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import polars as pl

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.tables import LakeTable
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.upkeep import maintain_lake, merge_lake
from adx_platform.refine.batch import refine_batch
from adx_platform.streams.planner import plan
from adx_platform.streams.topics import Watermarks
from assets_tests.bench.cases import Bench
from assets_tests.bench.traffic import raw_batches

ROWS = 100
"""Rows of one commit: so few that the commit itself is the cost."""

COMMITS_A_SECOND = 2
MAINTENANCE_SECONDS = 600

_WINDOW = 50
_PARTITION = 0


@dataclass(frozen=True, slots=True)
class _Times:
    """Milliseconds of one commit; ``cpu_ms`` is of planning and committing."""

    plan_ms: float
    commit_ms: float
    cpu_ms: float
    upkeep_ms: float


@dataclass(frozen=True, slots=True)
class CommitCost:
    """Medians in milliseconds over the first and the last ``window`` of ``commits`` commits.

    To plan is to open the table, to read its cursor and to decide on a range. ``worst_ms``: plan
    and commit, the dearest window of all. ``upkeep_ms``: mean of a commit's share of the upkeep.
    ``cpu_ratio``: last over first by CPU time, all threads, which other programs do not disturb.
    """

    table: str
    commits: int
    window: int
    first_plan_ms: float
    first_commit_ms: float
    last_plan_ms: float
    last_commit_ms: float
    worst_ms: float
    upkeep_ms: float
    cpu_ratio: float

    @property
    def first_ms(self) -> float:
        """Plan and commit together, at first."""
        return self.first_plan_ms + self.first_commit_ms

    @property
    def last_ms(self) -> float:
        """Plan and commit together, at the end."""
        return self.last_plan_ms + self.last_commit_ms

    @property
    def ratio(self) -> float:
        """Plan and commit together: the last window over the first one."""
        return self.last_ms / self.first_ms

    @property
    def worst_ratio(self) -> float:
        """The dearest window over the first one."""
        return self.worst_ms / self.first_ms


class _Handle(Protocol):
    @property
    def table(self) -> LakeTable: ...

    def committed(self, topic_id: str, partition: int) -> int | None: ...

    def commit(self, frame: pl.DataFrame, topic_id: str, spans: list[OffsetRange]) -> int: ...


def commit_costs(bench: Bench, commits: int) -> list[CommitCost]:
    """Commit the same few rows again and again under offsets that go on, to raw and to events."""
    platform = open_platform(bench.settings("commits"))
    stream = AD_IMPRESSIONS
    raw = raw_batches(bench.home, stream.name, ROWS)[0]
    events = refine_batch(raw, platform.refine_context(stream))
    landed = list(_commits(partial(platform.landing, stream), raw, commits, platform))
    refined = list(_commits(partial(platform.refining, stream), events, commits, platform))
    return [_cost(f"raw/{stream.name}", landed), _cost(f"events/{stream.name}", refined)]


def _commits(
    open_handle: Callable[..., _Handle], frame: pl.DataFrame, commits: int, platform: Platform
) -> Iterator[_Times]:
    topic_id = str(frame["topic_id"][0])
    marks = {_PARTITION: Watermarks(0, commits * frame.height)}
    handle: _Handle | None = None
    for number in range(commits):
        rows = frame.with_columns(pl.col("offset") + number * frame.height)
        started, cpu = time.perf_counter(), time.process_time()
        handle = open_handle(after=handle)
        committed = {_PARTITION: handle.committed(topic_id, _PARTITION)}
        reads = plan(committed, marks, max_records=frame.height).reads
        planned = time.perf_counter()
        handle.commit(rows, topic_id, list(reads))
        done, cpu = time.perf_counter(), time.process_time() - cpu
        _keep_up(platform, handle.table, number + 1)
        ended = time.perf_counter()
        yield _Times(
            plan_ms=(planned - started) * 1000,
            commit_ms=(done - planned) * 1000,
            cpu_ms=cpu * 1000,
            upkeep_ms=(ended - done) * 1000,
        )


def _keep_up(platform: Platform, table: LakeTable, commits: int) -> None:
    """What the loop and the schedule do after so many commits."""
    settings = platform.settings
    if commits % round(settings.follow.merge_interval.total_seconds() * COMMITS_A_SECOND):
        return
    _age(Path(table.storage.table_uri(table.name), "_delta_log"))
    if commits % (MAINTENANCE_SECONDS * COMMITS_A_SECOND) == 0:
        list(maintain_lake(platform.storage, settings.lake))
    else:
        list(merge_lake(platform.storage, settings.lake))


def _age(log: Path) -> None:
    """Date the log's entries back, as if commits had been made at production's pace."""
    entries = {path: int(path.name[:20]) for path in log.iterdir() if path.name[:20].isdigit()}
    newest, now = max(entries.values()), time.time()
    for path, version in entries.items():
        moment = now - (newest - version) / COMMITS_A_SECOND
        os.utime(path, (moment, moment))


def _cost(table: str, times: list[_Times]) -> CommitCost:
    window = min(_WINDOW, len(times) // 2)
    first, last = times[:window], times[-window:]
    both = [item.plan_ms + item.commit_ms for item in times]
    return CommitCost(
        table=table,
        commits=len(times),
        window=window,
        first_plan_ms=statistics.median(item.plan_ms for item in first),
        first_commit_ms=statistics.median(item.commit_ms for item in first),
        last_plan_ms=statistics.median(item.plan_ms for item in last),
        last_commit_ms=statistics.median(item.commit_ms for item in last),
        worst_ms=max(
            statistics.median(both[start : start + window])
            for start in range(0, len(both) - window + 1, window)
        ),
        upkeep_ms=statistics.mean(item.upkeep_ms for item in times),
        cpu_ratio=statistics.median(item.cpu_ms for item in last)
        / statistics.median(item.cpu_ms for item in first),
    )
