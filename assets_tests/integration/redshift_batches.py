"""Batches for the tests of Redshift's loader, and what a load leaves behind.

Belongs here: what several of those modules need. Does not belong here: tests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector

from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import Settings
from adx_platform.warehouse.base import LoadBatch, LoadRange
from adx_platform.warehouse.projection import project
from assets_tests.servers.redshift_shaped import Cluster

STREAM = "clicks_conversions"
TOPIC_ID = "topic-a"
START = datetime(2026, 3, 2, tzinfo=UTC)


def events(offsets: range, revision: int = 0, **given: Any) -> pl.DataFrame:
    rows = [
        {
            "topic_id": TOPIC_ID,
            "partition": 0,
            "offset": offset,
            "kafka_timestamp": START + timedelta(seconds=offset),
            "revision": revision,
            "disposition": "accepted",
            "record_type": "click",
            "event_id": f"e-{offset}",
            "event_time": START + timedelta(seconds=offset),
            "event_date": START.date(),
            **given,
        }
        for offset in offsets
    ]
    return pl.DataFrame(rows, schema=STREAMS[STREAM].events_schema)


def batch(start: int, end: int, **kwargs: Any) -> LoadBatch:
    given = {"forward": (LoadRange(TOPIC_ID, 0, start, end),), **kwargs}
    return LoadBatch(STREAM, 5, project(STREAM, events(range(start, end))), **given)


def restatement(start: int, end: int) -> LoadBatch:
    frames = project(STREAM, events(range(start, end), revision=1))
    return LoadBatch(STREAM, 6, frames, replaced=(LoadRange(TOPIC_ID, 0, start, end, revision=1),))


def offsets(cluster: Cluster) -> list[tuple[int, int]]:
    return cluster.execute("select kafka_offset, revision from raw.clicks order by 1")


def left_behind(settings: Settings) -> list[str]:
    """Files of loads in the store."""
    storage = LakeStorage.at(f"{settings.lake_uri}/load", settings.lake)
    found = DeltaStorageHandler(storage.uri, dict(storage.options)).get_file_info_selector(
        FileSelector("", recursive=True, allow_not_found=True)
    )
    # SeaweedFS shows a folder that was emptied as a file without a name.
    return [file.path for file in found if file.is_file and file.path]


def places_of(cluster: Cluster, word: str) -> list[str]:
    """Tables that have the word in any of their columns."""
    tables = cluster.execute(
        "select table_schema, table_name from information_schema.tables where table_type = "
        "'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
    )
    return [
        f"{schema}.{name}"
        for schema, name in tables
        if cluster.execute(
            f"select 1 from {schema}.\"{name}\" as t where t::text like '%{word}%' limit 1"
        )
    ]
