"""`adx trace`: from a figure back to the messages.

Belongs here: printing a trace. Does not belong here: finding it (``warehouse.tracing``).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import print_json, stdout, table
from adx_platform.warehouse.selection import open_warehouse
from adx_platform.warehouse.tracing import TracedLoad, trace_loads

# A build holds the database for half a minute.
_WAIT_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("trace")(trace)


def trace(
    load_ids: Annotated[
        list[int], typer.Argument(help="One or more values of `load_id`, from any warehouse row.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Trace a row by its `load_id` to the lake commit and the Kafka offsets that it came from."""
    with open_warehouse(checked_settings(), wait_seconds=_WAIT_SECONDS) as warehouse:
        warehouse.ensure_schema()
        loads = trace_loads(warehouse.query, set(load_ids))
    if as_json:
        print_json([asdict(load) for load in loads])
        return
    for load in loads:
        _print_load(load)


def _print_load(load: TracedLoad) -> None:
    stdout.print(
        f"load {load.load_id}: {load.rows:,} rows at {load.loaded_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"from commit {load.lake_version} of lake table events/{load.stream}",
        soft_wrap=True,
    )
    heads = ("topic id", "partition", "first offset", "last offset", "kind", "revision")
    body: list[list[object]] = [
        [part.topic_id, part.partition, part.start, part.end - 1, part.kind, part.revision]
        for part in load.ranges
    ]
    stdout.print(table(f"Messages of topic {load.stream}", heads, body, text=(0, 4)))
