"""Jobs: the selections that run together.

Belongs here: naming selections. Does not belong here: when they run (``sensors``, ``schedules``,
``automation``). All of them run in one process: the multiprocess executor takes ten seconds longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.checks import history_check_keys
from adx_platform.orchestration.checks_integrity import deep_check_keys
from adx_platform.orchestration.checks_reference import coverage_check_keys

REFERENCE_JOB = "load_reference_data"
LOAD_JOB = "load"
BUILD_JOB = "build"
AUDIT_JOB = "audit"


@dataclass(frozen=True)
class Jobs:
    """Every job of the platform."""

    ingest: tuple[dg.UnresolvedAssetJobDefinition, ...]
    reference: dg.UnresolvedAssetJobDefinition
    load: dg.UnresolvedAssetJobDefinition
    build: dg.UnresolvedAssetJobDefinition
    audit: dg.UnresolvedAssetJobDefinition

    def all(self) -> list[dg.UnresolvedAssetJobDefinition]:
        """All of them, for the definitions."""
        return [*self.ingest, self.reference, self.load, self.build, self.audit]


def make_jobs(models: Sequence[dg.AssetKey]) -> Jobs:
    """Define the jobs.

    Args:
        models: keys of everything that dbt builds.
    """
    history = dg.AssetSelection.checks(*history_check_keys(), *deep_check_keys())
    return Jobs(
        ingest=tuple(
            dg.define_asset_job(
                keys.ingest_job_name(stream),
                selection=dg.AssetSelection.assets(keys.raw_key(stream), keys.events_key(stream))
                - history,
                description=f"Land and refine one lane of {stream}, then check the stream.",
            )
            for stream in STREAMS
        ),
        reference=dg.define_asset_job(
            REFERENCE_JOB,
            selection=dg.AssetSelection.groups(keys.GROUP_REFERENCE),
            description="Load the reference files that changed.",
        ),
        load=dg.define_asset_job(
            LOAD_JOB,
            selection=dg.AssetSelection.groups(keys.GROUP_WAREHOUSE_RAW) - history,
            description="Load refined events into the warehouse and recount them there.",
        ),
        build=dg.define_asset_job(
            BUILD_JOB,
            selection=dg.AssetSelection.assets(*models, keys.PUBLISHED_KEY, keys.REPORT_KEY)
            | dg.AssetSelection.checks(*coverage_check_keys()),
            description="Build and test every model; publish the marts if all is green.",
        ),
        audit=dg.define_asset_job(
            AUDIT_JOB,
            selection=history,
            description="Recount conservation over all history, in the lake and the warehouse.",
        ),
    )
