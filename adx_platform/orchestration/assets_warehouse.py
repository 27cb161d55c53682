"""The raw warehouse tables and the published snapshot.

Belongs here: declaring the assets and reporting loads and publications. Does not belong here: the
load and the swap themselves (``warehouse``), or the models in between (``assets_dbt``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.automation import load_condition
from adx_platform.orchestration.metadata import column_schema, trace_table
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.retries import TRANSIENT_RETRIES, permanent_failures
from adx_platform.warehouse.base import LoadRange
from adx_platform.warehouse.loader import LoadReport
from adx_platform.warehouse.tables import (
    CONTROL_TABLES,
    CURSORS,
    LOAD_RANGES,
    LOADS,
    RAW_TABLES,
    REMOVED_ROWS,
    SHARED_RAW_TABLES,
    STREAM_TABLES,
    Table,
)

_WRITTEN_BY_LOADS = (CURSORS, LOADS, LOAD_RANGES, REMOVED_ROWS)


def raw_table_assets() -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """All raw tables, which one load fills together, and the loader's books beside them."""

    @dg.multi_asset(
        name="load_warehouse",
        specs=[_raw_spec(table) for table in RAW_TABLES],
        pool=keys.WAREHOUSE_POOL,
        retry_policy=TRANSIENT_RETRIES,
        description="Loads what the lake has refined and the warehouse lacks.",
    )
    def load_warehouse(line: dg.ResourceParam[Line]) -> Iterator[dg.MaterializeResult[Any]]:
        with permanent_failures():
            reports = [report for stream in STREAMS if (report := line.load(stream)) is not None]
        for table in RAW_TABLES:
            yield _load_result(table, [r for r in reports if r.stream in _streams_of(table)])

    return [load_warehouse, *_control_specs()]


def _control_specs() -> list[dg.AssetSpec]:
    """The loader's books: written by loads and builds, in the transactions that they describe."""
    loaded = [keys.warehouse_key(table.schema, table.name) for table in RAW_TABLES]
    return [
        dg.AssetSpec(
            keys.warehouse_key(table.schema, table.name),
            # Written at the end of a build that reads it: naming the build here would be a cycle.
            deps=loaded if table in _WRITTEN_BY_LOADS else [],
            description=table.description,
            group_name=keys.GROUP_WAREHOUSE_CONTROL,
            kinds={"duckdb", "table"},
            owners=keys.OWNERS,
            tags={keys.LAYER_TAG: "control"},
            metadata={
                **column_schema(table.columns),
                "dagster/table_name": table.qualified_name,
            },
        )
        for table in CONTROL_TABLES
    ]


def published_asset(marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The read-only snapshot of the marts that people query."""

    @dg.asset(
        key=keys.PUBLISHED_KEY,
        deps=list(marts),
        group_name=keys.GROUP_PUBLISHED,
        kinds={"duckdb"},
        owners=keys.OWNERS,
        tags={keys.LAYER_TAG: "published"},
        pool=keys.WAREHOUSE_POOL,
        retry_policy=TRANSIENT_RETRIES,
        description="The marts of the last green build, swapped in atomically.",
    )
    def published(
        context: dg.AssetExecutionContext, line: dg.ResourceParam[Line]
    ) -> dg.MaterializeResult[Any]:
        report = line.publish(context.run.run_id)
        newest = line.trace(up_to=line.newest_load())
        return dg.MaterializeResult(
            data_version=dg.DataVersion(report.build_id),
            metadata={
                "dagster/row_count": sum(report.rows.values()),
                "rows": dg.JsonMetadataValue(report.rows),
                "snapshot": dg.MetadataValue.path(report.snapshot),
                "traced_to": trace_table(newest),
            },
        )

    return published


def _raw_spec(table: Table) -> dg.AssetSpec:
    has_person = any(column.name == "user_id" for column in table.columns)
    return dg.AssetSpec(
        keys.warehouse_key(table.schema, table.name),
        deps=[keys.events_key(stream) for stream in _streams_of(table)],
        description=table.description,
        group_name=keys.GROUP_WAREHOUSE_RAW,
        kinds={"duckdb", "table"},
        owners=keys.OWNERS,
        tags={keys.LAYER_TAG: "raw", keys.PII_TAG: "reduced" if has_person else "none"},
        metadata={
            **column_schema(table.columns),
            "dagster/table_name": table.qualified_name,
        },
        automation_condition=load_condition(),
    )


def _streams_of(table: Table) -> list[str]:
    if table in SHARED_RAW_TABLES:
        return list(STREAMS)
    return [stream for stream, tables in STREAM_TABLES.items() if table in tables]


def _load_result(table: Table, reports: Sequence[LoadReport]) -> dg.MaterializeResult[Any]:
    load_ids = [load_id for report in reports for load_id in report.load_ids]
    return dg.MaterializeResult(
        asset_key=keys.warehouse_key(table.schema, table.name),
        metadata={
            "dagster/partition_row_count": sum(r.inserted.get(table.name, 0) for r in reports),
            "removed_rows": sum(r.removed.get(table.name, 0) for r in reports),
            "load_ids": dg.JsonMetadataValue(load_ids),
            **_links(table),
            "lake_versions": dg.JsonMetadataValue({r.stream: r.lake_version for r in reports}),
            "offset_ranges": dg.JsonMetadataValue([_range(p) for r in reports for p in r.forward]),
            "replaced_ranges": dg.JsonMetadataValue(
                [_range(p) for r in reports for p in r.replaced]
            ),
            "seconds": sum(report.seconds for report in reports),
        },
    )


def _links(table: Table) -> dict[str, dg.MetadataValue[Any]]:
    return {
        f"committed_in_{stream}": dg.MetadataValue.asset(keys.events_key(stream))
        for stream in _streams_of(table)
    }


def _range(part: LoadRange) -> dict[str, Any]:
    return {
        "topic_id": part.topic_id,
        "partition": part.partition,
        "start": part.start,
        "end": part.end,
        "revision": part.revision,
    }
