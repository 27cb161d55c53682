"""A lake to keep up: what the tests of its upkeep put into it and look at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import polars as pl

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, events_table

from .conftest import NOON, TOPIC_ID

Frames = Callable[..., pl.DataFrame]
TOPIC = "ad_impressions"
KEY = (TOPIC_ID, 0)
BIG: Final = 1 << 28
DAY: Final = timedelta(days=1)


def land(storage: LakeStorage, frame: pl.DataFrame, span: OffsetRange) -> None:
    LandingHandle.open(storage, TOPIC).commit(frame, TOPIC_ID, [span])


def refine(storage: LakeStorage, frame: pl.DataFrame, span: OffsetRange) -> None:
    register_sources(storage, TOPIC, TOPIC_ID, [0])
    RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA).commit(frame, TOPIC_ID, [span])


def events_of(storage: LakeStorage, end: int) -> pl.DataFrame:
    snapshot = events_snapshot(storage, TOPIC, ENVELOPE_SCHEMA)
    assert snapshot is not None
    return snapshot.read(*KEY, 0, end)


def files_of(storage: LakeStorage) -> int:
    handle = events_table(storage, TOPIC, ENVELOPE_SCHEMA).find()
    assert handle is not None
    return len(handle.file_uris())


def aged(frame: pl.DataFrame, hours_before_noon: list[int]) -> pl.DataFrame:
    times = [NOON - timedelta(hours=hours) for hours in hours_before_noon]
    return frame.with_columns(
        pl.Series("kafka_timestamp", times, dtype=frame.schema["kafka_timestamp"])
    )


def commit_ten_times(storage: LakeStorage, event_rows: Frames) -> LakeTable:
    for start in range(0, 20, 2):
        refine(storage, event_rows(0, start, start + 2), OffsetRange(0, start, start + 2))
    return events_table(storage, TOPIC, ENVELOPE_SCHEMA)
