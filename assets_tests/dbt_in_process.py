"""dbt in the process of a test, without work that no test looks at.

Belongs here: how the interpreter runs dbt, as ``warehouse.dbt_program`` has it. Does not belong
here: commands, projects and what is expected of them.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import TYPE_CHECKING

from mashumaro.config import BaseConfig

from adx_platform.warehouse.dbt_program import (
    keep_parse_of_any_connection,
    name_redshift_connections,
    skip_unheard_events,
)

# Before dbt is imported: see ``dbt_program``.
BaseConfig.lazy_compilation = True
from dbt.cli.main import dbtRunner, dbtRunnerResult  # noqa: E402 - as said
from dbt_common.behavior_flags import BehaviorFlagRendered  # noqa: E402 - as said

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


def invoke(*arguments: str, manifest: Manifest | None = None) -> dbtRunnerResult:
    """Run one command; ``manifest`` saves the parse."""
    _prepare()
    if "redshift" in arguments:
        _name_redshift_connections()
    collects = gc.isenabled()
    gc.disable()
    try:
        return dbtRunner(manifest=manifest).invoke(
            [*arguments, "--quiet", "--no-write-json", "--log-level-file", "none"]
        )
    finally:
        if collects:
            gc.enable()


@cache
def _prepare() -> None:
    skip_unheard_events()
    keep_parse_of_any_connection()
    # Who is told of a flag that changed: dbt looks through all modules of all callers for each
    # flag: a sixth of what the main thread of one test did, under pytest's many (2026-11).
    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt")  # type: ignore[method-assign]


_name_redshift_connections = cache(name_redshift_connections)
