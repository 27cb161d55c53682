"""`adx maintain`: the upkeep of lake and warehouse by hand.

Belongs here: the command. Does not belong here: the upkeep (``pipeline.upkeep``,
``pipeline.expiry``).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import print_json, stderr, stdout
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.expiry import expire_rows
from adx_platform.pipeline.upkeep import maintain_lake


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("maintain")(maintain)


def maintain(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """Merge the lake's small files, drop expired raw bytes, delete files nothing refers to.

    Also deletes rows of the warehouse that are past ADX_WAREHOUSE__RETENTION. Safe while everything
    else runs; in Dagster the schedule `maintenance` does it.
    """
    settings = checked_settings()
    with stderr.status("maintaining the lake"):
        reports = list(maintain_lake(LakeStorage.from_settings(settings), settings.lake))
    with stderr.status("looking for rows past their retention"):
        expiry = expire_rows(settings)
    if as_json:
        print_json(
            {
                "lake": [asdict(report) for report in reports],
                "warehouse": asdict(expiry),
            }
        )
        return
    for line in (*(report.explain() for report in reports), expiry.explain()):
        stdout.print(line, markup=False, soft_wrap=True)
