"""A lake with made-up refined rows, and warehouses over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.restatements import Restatement, announce
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse

TOPIC_ID = "topic-a"
START = datetime(2026, 3, 2, tzinfo=UTC)
DEFAULT_RECORD_TYPES = {
    "bid_requests": "bid_request",
    "ad_impressions": "ad_impression",
    "clicks_conversions": "click",
}


def event_rows(stream: str, rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Rows of ``events/<stream>``: what is not given is a plausible constant, or null."""
    filled = []
    for row in rows:
        offset = row["offset"]
        at = START + timedelta(seconds=offset)
        gap = row.get("disposition") in {"absent", "lost"}
        filled.append(
            {
                "topic_id": TOPIC_ID,
                "partition": 0,
                "kafka_timestamp": at,
                "revision": 0,
                "disposition": "accepted",
                "event_date": at.date(),
                "gap_length": 1 if gap else None,
                "record_type": None if gap else DEFAULT_RECORD_TYPES[stream],
                "event_id": None if gap else f"e-{row.get('partition', 0)}-{offset}",
                "event_time": None if gap else at,
                **row,
            }
        )
    return pl.DataFrame(filled, schema=STREAMS[stream].events_schema)


class Lake:
    """A lake in a folder, written through the lake's own commit protocol."""

    def __init__(self, folder: Path) -> None:
        self.storage = LakeStorage.at(str(folder))

    def append(
        self, stream: str, frame: pl.DataFrame, *, starts: dict[int, int] | None = None
    ) -> None:
        """Commit ``frame``; it must continue where its partitions ended."""
        handle = RefineHandle.open(self.storage, stream, STREAMS[stream].events_schema)
        (topic_id,) = frame["topic_id"].unique()
        ranges = []
        for (partition,), rows in frame.group_by("partition"):
            first = rows["offset"].min()
            end = (rows["offset"] + rows["gap_length"].fill_null(1)).max()
            ranges.append(OffsetRange(partition, (starts or {}).get(partition, first), end))
        register_sources(self.storage, stream, topic_id, [r.partition for r in ranges])
        handle.commit(frame, topic_id, ranges)

    def announce(self, stream: str, start: int, end: int, *, partition: int = 0) -> Restatement:
        """Announce a restatement without applying it."""
        span = OffsetRange(partition, start, end)
        return announce(self.storage, stream, TOPIC_ID, span, reason="test")

    def apply(self, stream: str, restatement: Restatement, frame: pl.DataFrame) -> None:
        """Replace the rows of an announced range."""
        handle = RefineHandle.open(self.storage, stream, STREAMS[stream].events_schema)
        revised = frame.with_columns(revision=pl.lit(restatement.revision, pl.Int64))
        handle.replace(revised, restatement)

    def restate(self, stream: str, frame: pl.DataFrame, start: int, end: int) -> Restatement:
        """Announce and replace ``[start, end)`` of partition 0."""
        restatement = self.announce(stream, start, end)
        self.apply(stream, restatement, frame)
        return restatement


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., pl.DataFrame]:
    return event_rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def new_lake() -> Callable[[Path], Lake]:
    return Lake


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBWarehouse]:
    with DuckDBWarehouse(tmp_path / "warehouse" / "adx.duckdb") as opened:
        opened.ensure_schema()
        yield opened
