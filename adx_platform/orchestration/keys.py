"""Names that several orchestration modules share: asset keys, groups, tags, pools.

Belongs here: spelling only. Does not belong here: anything with behaviour.
"""

from __future__ import annotations

import dagster as dg

OWNERS = ["team:data-platform"]

GROUP_BROKER = "broker"
GROUP_LAKE = "lake"
GROUP_REFERENCE = "reference"
GROUP_TRAINING = "training"
GROUP_WAREHOUSE_RAW = "warehouse_raw"
GROUP_WAREHOUSE_CONTROL = "warehouse_control"
GROUP_PUBLISHED = "published"
GROUP_PLATFORM = "platform"

STREAM_TAG = "adx/stream"
LANE_TAG = "adx/lane"
UNTIL_TAG = "adx/until"
LAYER_TAG = "adx/layer"
PII_TAG = "adx/pii"
PARTITION_TAG = "dagster/partition"

FULL_REFRESH_TAG = "adx/full_refresh"
"""A run with this tag builds every model anew instead of the touched days."""

FORCE_REFERENCE_TAG = "adx/force_reference"
"""A run with this tag loads every reference file, also one that has not changed."""

WAREHOUSE_POOL = "warehouse_writer"
"""Loading, building and publishing write one DuckDB file: one at a time."""

PUBLISHED_KEY = dg.AssetKey(["warehouse", "published"])
REPORT_KEY = dg.AssetKey(["published", "report"])

INGEST_LOOP_KEY = dg.AssetKey(["platform", "ingest_loop"])
"""The resident loop, ``adx ingest --follow``: a process, of which only its sign of life is seen."""


def kafka_key(stream: str) -> dg.AssetKey:
    """The topic at the broker, which the platform reads and does not make."""
    return dg.AssetKey(["kafka", stream])


def raw_key(stream: str) -> dg.AssetKey:
    """The undecoded landing of a stream."""
    return dg.AssetKey(["lake", "raw", stream])


def events_key(stream: str) -> dg.AssetKey:
    """The refined events of a stream."""
    return dg.AssetKey(["lake", "events", stream])


def reference_key(name: str) -> dg.AssetKey:
    """A reference table in the warehouse."""
    return dg.AssetKey(["reference", name])


def warehouse_key(schema: str, table: str) -> dg.AssetKey:
    """A table of the warehouse: loaded (schema ``raw``) or built by dbt."""
    return dg.AssetKey(["warehouse", schema, table])


def ingest_pool(stream: str) -> str:
    """Pool of the ingest runs of a stream; its limit is the number of lanes."""
    return f"ingest_{stream}"


def ingest_job_name(stream: str) -> str:
    """Name of the job that ingests one lane of a stream."""
    return f"ingest_{stream}"
