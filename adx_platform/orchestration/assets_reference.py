"""Reference data in the warehouse: advertisers, campaigns, exchange rates and the others.

Belongs here: declaring the assets and reporting what was loaded. Does not belong here: reading and
judging the files (``reference``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

from collections.abc import Iterator
from typing import Any

import dagster as dg

from adx_platform.orchestration import keys
from adx_platform.orchestration.metadata import column_schema
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.retries import TRANSIENT_RETRIES, permanent_failures
from adx_platform.reference.schemas import REFERENCE_TABLES, ReferenceTable


def reference_assets() -> dg.AssetsDefinition:
    """All reference tables: they are judged together, because they refer to each other."""

    @dg.multi_asset(
        name="load_reference",
        specs=[_spec(table) for table in REFERENCE_TABLES],
        pool=keys.WAREHOUSE_POOL,
        retry_policy=TRANSIENT_RETRIES,
        description="Reads the reference files and loads the tables that changed.",
    )
    def load_reference(
        context: dg.AssetExecutionContext, line: dg.ResourceParam[Line]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        force = context.run.tags.get(keys.FORCE_REFERENCE_TAG) == "true"
        with permanent_failures():
            data, written = line.load_reference(force=force)
        for table in REFERENCE_TABLES:
            yield dg.MaterializeResult(
                asset_key=keys.reference_key(table.name),
                data_version=dg.DataVersion(data.versions[table.name]),
                metadata={
                    "dagster/row_count": data.tables[table.name].height,
                    "written": table.name in written,
                    "reference_version": data.version,
                },
            )

    return load_reference


def _spec(table: ReferenceTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.reference_key(table.name),
        description=table.description,
        group_name=keys.GROUP_REFERENCE,
        kinds={"csv", "duckdb"},
        owners=keys.OWNERS,
        tags={keys.LAYER_TAG: "reference"},
        metadata=column_schema(table.columns),
    )
