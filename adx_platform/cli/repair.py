"""`adx repair`: mend damaged files of the lake.

Belongs here: arguments and the summary. Does not belong here: mending (``pipeline.repair``).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.inputs import known_streams, opened_platform
from adx_platform.cli.output import print_json, stderr, stdout
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.errors import LakeBeyondRepair
from adx_platform.lake.integrity import damaged_files
from adx_platform.lake.tables import events_table, raw_table
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.repair import repair_stream


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("repair")(repair)


def repair(
    stream: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be repeated.")
    ] = None,
    *,
    look: Annotated[
        bool, typer.Option("--look", help="Only say what is damaged; change nothing.")
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Record offsets that nobody has any more as lost. Needs --stream."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Mend damaged lake files: land and refine again exactly what they held.

    Every file is read as a whole. Damaged ones are moved to `quarantine/` under the lake; what they
    held comes back from the broker and from the raw landing. Safe beside a running ingest, and to
    run again after a crash. The exit code is 1 if something is beyond repair.
    """
    if accept_loss and not stream:
        raise WrongUsage("--accept-loss needs --stream: say whose loss is accepted")
    if accept_loss and look:
        raise WrongUsage("--look changes nothing: leave out --accept-loss")
    names = known_streams(stream)
    platform = opened_platform()
    if look:
        _look(platform, names, as_json=as_json)
        return
    reports = []
    beyond: list[LakeBeyondRepair] = []
    for name in names:
        try:
            reports.append(repair_stream(platform, name, accept_loss=accept_loss))
        except LakeBeyondRepair as error:
            # The other streams are mended all the same.
            beyond.append(error)
            continue
        if not as_json:
            stdout.print(reports[-1].explain(), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json(
            {
                "repaired": [{**asdict(report), "changed": report.changed} for report in reports],
                "beyond_repair": [str(error) for error in beyond],
            }
        )
    for unmended in beyond[:-1]:
        stderr.print(str(unmended), markup=False, highlight=False, soft_wrap=True)
    if beyond:
        raise beyond[-1]


def _look(platform: Platform, streams: list[str], *, as_json: bool) -> None:
    tables = [
        table
        for name in streams
        for table in (
            raw_table(platform.storage, name),
            events_table(platform.storage, name, STREAMS[name].events_schema),
        )
    ]
    found = [item for table in tables for item in damaged_files(table, deep=True)]
    if as_json:
        print_json([asdict(item) for item in found])
        return
    for item in found:
        stdout.print(item.explain(), markup=False, highlight=False, soft_wrap=True)
    if not found:
        stdout.print("every file is sound")
