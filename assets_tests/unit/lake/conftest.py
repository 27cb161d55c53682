"""A lake in a temporary folder, and frames to put into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA, RAW_SCHEMA
from adx_platform.lake.storage import LakeStorage

TOPIC_ID = "topic-a"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

FrameMaker = Callable[..., pl.DataFrame]


def _filled(rows: dict[str, object], schema: pl.Schema) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema_overrides={n: schema[n] for n in rows})
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in rows
    ]
    return frame.with_columns(missing).select(schema.names())


def _raw(partition: int, start: int, end: int, *, topic_id: str = TOPIC_ID) -> pl.DataFrame:
    offsets = list(range(start, end))
    return _filled(
        {
            "topic_id": [topic_id] * len(offsets),
            "partition": [partition] * len(offsets),
            "offset": offsets,
            "kafka_timestamp": [NOON] * len(offsets),
            "key": [b"k%d" % o for o in offsets],
            "value": [b"%s/%d/%d" % (topic_id.encode(), partition, o) for o in offsets],
            "headers": [[{"key": "h", "value": b"\xff"}] if o % 7 == 0 else None for o in offsets],
        },
        RAW_SCHEMA,
    )


def _gap(partition: int, start: int, length: int, *, kind: str = "absent") -> pl.DataFrame:
    return _filled(
        {
            "topic_id": [TOPIC_ID],
            "partition": [partition],
            "offset": [start],
            "gap_kind": [kind],
            "gap_length": [length],
        },
        RAW_SCHEMA,
    )


def _events(
    partition: int,
    start: int,
    end: int,
    *,
    revision: int = 0,
    disposition: str | None = None,
    topic_id: str = TOPIC_ID,
) -> pl.DataFrame:
    offsets = list(range(start, end))
    return _filled(
        {
            "topic_id": [topic_id] * len(offsets),
            "partition": [partition] * len(offsets),
            "offset": offsets,
            "kafka_timestamp": [NOON] * len(offsets),
            "revision": [revision] * len(offsets),
            "disposition": [
                disposition or ("rejected" if o % 5 == 0 else "accepted") for o in offsets
            ],
            "event_id": [f"e{partition}-{o}" for o in offsets],
            "event_date": [date(2026, 3, 1 + o % 2) for o in offsets],
            "payload_fingerprint": [f"{o:032x}" for o in offsets],
        },
        ENVELOPE_SCHEMA,
    )


@pytest.fixture
def storage(tmp_path: Path) -> LakeStorage:
    return LakeStorage.at(str(tmp_path / "lake"))


@pytest.fixture
def raw_rows() -> FrameMaker:
    return _raw


@pytest.fixture
def gap_row() -> FrameMaker:
    return _gap


@pytest.fixture
def event_rows() -> FrameMaker:
    return _events
