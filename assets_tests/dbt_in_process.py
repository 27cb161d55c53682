"""dbt in the process of a test, without work that no test looks at.

Belongs here: how the interpreter runs dbt, as ``warehouse.dbt_program`` has it. Does not belong
here: commands, projects and what is expected of them.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import TYPE_CHECKING

from mashumaro.config import BaseConfig

from adx_platform.warehouse.dbt_program import skip_unheard_events

# Before dbt is imported: see ``dbt_program``.
BaseConfig.lazy_compilation = True
from dbt.cli.main import dbtRunner, dbtRunnerResult  # noqa: E402 - as said

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


def invoke(*arguments: str, manifest: Manifest | None = None) -> dbtRunnerResult:
    """Run one command; ``manifest`` saves the parse."""
    _prepare()
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
