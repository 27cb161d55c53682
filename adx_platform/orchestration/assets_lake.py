"""The lake: landing and refined events of each stream, one Dagster partition per lane.

Belongs here: declaring the assets and reporting what an ingest did. Does not belong here: landing
and refining (``pipeline``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from adx_platform.contracts.columns import Column
from adx_platform.contracts.envelope import ENVELOPE_COLUMNS, RAW_COLUMNS
from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.orchestration import keys
from adx_platform.orchestration.lake_metadata import (
    LAYERS,
    BatchTotals,
    layer_metadata,
    layer_version,
)
from adx_platform.orchestration.metadata import column_schema
from adx_platform.orchestration.partitions import lane_partitions
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.retries import TRANSIENT_RETRIES, permanent_failures
from adx_platform.pipeline.reports import BatchReport
from adx_platform.settings import Settings
from adx_platform.streams.lanes import lane_from_key

# Wall clock, so only for a live line: a replay of old files is judged by the check in event time.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=6), warn_window=timedelta(hours=1)
)


def topic_specs() -> list[dg.AssetSpec]:
    """The Kafka topics, which others fill."""
    return [
        dg.AssetSpec(
            keys.kafka_key(stream.name),
            description=f"Kafka topic {stream.topic} ({stream.wire} messages).",
            group_name=keys.GROUP_BROKER,
            kinds={"kafka"},
            owners=keys.OWNERS,
            tags={keys.STREAM_TAG: stream.name, keys.LAYER_TAG: "broker"},
        )
        for stream in STREAMS.values()
    ]


def lake_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One multi-asset per stream: its landing and its refined events."""
    return [_stream_assets(settings, stream) for stream in STREAMS.values()]


def _stream_assets(settings: Settings, stream: Stream) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"land_and_refine_{stream.name}",
        specs=[_raw_spec(settings, stream), _events_spec(settings, stream)],
        partitions_def=lane_partitions(settings),
        pool=keys.ingest_pool(stream.name),
        retry_policy=TRANSIENT_RETRIES,
        description=f"Lands and refines one lane of {stream.name}.",
    )
    def ingest(
        context: dg.AssetExecutionContext, line: dg.ResourceParam[Line]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        lane = lane_from_key(context.partition_key)
        with permanent_failures():
            reports = line.ingest(stream.name, lane, _until(context.run.tags))
        for report in reports:
            context.log.info("batch committed: %s", ", ".join(str(part) for part in report.ranges))
        yield from _results(line, stream, reports)

    return ingest


def _raw_spec(settings: Settings, stream: Stream) -> dg.AssetSpec:
    return _spec(
        settings,
        stream,
        key=keys.raw_key(stream.name),
        deps=[keys.kafka_key(stream.name)],
        layer="raw",
        description=(
            f"{stream.name} as received: undecoded bytes with topic, partition and offset. "
            "Restricted, short retention, never loaded into a warehouse."
        ),
        columns=RAW_COLUMNS,
    )


def _events_spec(settings: Settings, stream: Stream) -> dg.AssetSpec:
    return _spec(
        settings,
        stream,
        key=keys.events_key(stream.name),
        deps=[keys.raw_key(stream.name)],
        layer="events",
        description=(
            f"{stream.name} refined: one row per offset with its disposition; personal data "
            f"reduced. Record types: {', '.join(stream.record_types)}."
        ),
        columns=(*ENVELOPE_COLUMNS, *stream.columns),
    )


def _spec(
    settings: Settings,
    stream: Stream,
    *,
    key: dg.AssetKey,
    deps: list[dg.AssetKey],
    layer: str,
    description: str,
    columns: tuple[Column, ...],
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps,
        description=description,
        group_name=keys.GROUP_LAKE,
        kinds={"kafka", "deltalake", "parquet"} if layer == "raw" else {"polars", "deltalake"},
        owners=keys.OWNERS,
        tags={
            keys.STREAM_TAG: stream.name,
            keys.LAYER_TAG: layer,
            keys.PII_TAG: "raw" if layer == "raw" else "reduced",
        },
        code_version=str(stream.contract_version),
        metadata={
            **column_schema(columns),
            "dagster/uri": f"{settings.lake_uri}/{layer}/{stream.topic}",
        },
        freshness_policy=FRESHNESS if layer == "events" else None,
    )


def _until(tags: Mapping[str, str]) -> dict[int, int] | None:
    """The planner's upper bounds, if a planner asked for this run."""
    text = tags.get(keys.UNTIL_TAG)
    return None if text is None else {int(p): int(o) for p, o in json.loads(text).items()}


def _results(
    line: Line, stream: Stream, reports: list[BatchReport]
) -> Iterator[dg.MaterializeResult[Any]]:
    totals = BatchTotals.of(reports)
    for layer, key_of in LAYERS.items():
        version = layer_version(layer, totals)
        yield dg.MaterializeResult(
            asset_key=key_of(stream.name),
            data_version=None if version is None else dg.DataVersion(str(version)),
            metadata=layer_metadata(line.settings, stream, layer, totals),
        )
