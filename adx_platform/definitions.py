"""The Dagster code location: what ``dagster dev``, ``dg`` and ``workspace.yaml`` load.

Belongs here: nothing but the entry point; the parts are put together in ``orchestration.build``.
"""

from __future__ import annotations

import dagster as dg

from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.dbt_project import first_manifest
from adx_platform.orchestration.kept_connections import keep_connections
from adx_platform.orchestration.run_logs import configure_dagster_logs
from adx_platform.settings import current_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Everything, by the settings of this process."""
    settings = current_settings()
    keep_connections()
    configure_dagster_logs(settings)
    first_manifest(settings)
    return build_defs(settings)
