"""`adx train`: the weights of the data-driven attribution models.

Belongs here: the command. Does not belong here: the training (``pipeline.training``).
"""

from __future__ import annotations

from typing import Annotated

import typer

from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import print_json, stderr, stdout
from adx_platform.pipeline.training import train_attribution
from adx_platform.warehouse.selection import open_warehouse

_WAIT_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("train")(train)


def train(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """Learn what each campaign is worth to the data-driven attribution models.

    Reads the built marts, month by month, and keeps a version of the weights where they changed;
    the next `adx build` divides the conversions of these months anew. In Dagster the schedule
    `training_daily` does it every night.
    """
    settings = checked_settings()
    with (
        stderr.status("training the attribution models"),
        open_warehouse(settings, wait_seconds=_WAIT_SECONDS) as warehouse,
    ):
        warehouse.ensure_schema()
        report = train_attribution(warehouse)
    if as_json:
        print_json(
            {
                "windows": [window.isoformat() for window in report.windows],
                "conversions": report.conversions,
                "version": report.version,
                "retrained": [
                    {"advertiser_id": advertiser, "model": model, "window": window.isoformat()}
                    for advertiser, model, window in report.retrained
                ],
            }
        )
        return
    stdout.print(report.explain(), markup=False, soft_wrap=True)
