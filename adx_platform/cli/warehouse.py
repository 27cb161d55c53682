"""`adx build`: from refined events to published marts.

Belongs here: the command. Does not belong here: the runs it starts (``orchestration.run``).
"""

from __future__ import annotations

from typing import Annotated

import typer

from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import print_json
from adx_platform.errors import AdxError


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("build")(build)


def build(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """Load what was refined, build and test the models, publish the marts if all is green."""
    settings = checked_settings()
    # Dagster and dbt take four seconds to import: only the commands that need them do so.
    from adx_platform.cli.runs import problems_of, run_with_progress  # noqa: PLC0415 - slow
    from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415 - slow
    from adx_platform.orchestration.run import run_warehouse  # noqa: PLC0415 - slow

    ensure_manifest(settings)
    summary = run_with_progress(run_warehouse, settings)
    problems = problems_of(summary)
    if as_json:
        print_json(
            {
                "runs": {run.step.name: run.run_id for run in summary.runs},
                "checks": summary.checks,
                "problems": problems,
            }
        )
    if problems:
        raise AdxError("the build is not green:\n  " + "\n  ".join(problems))
