"""`adx query`: SQL on the published marts.

Belongs here: reading the statement and printing rows. Does not belong here: finding the snapshot
(``warehouse.published``).
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import print_json, stderr, stdout, table
from adx_platform.settings import current_settings
from adx_platform.warehouse.published import query_published

_MAX_PRINTED = 200


class OutputFormat(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("query")(query)


def query(
    sql: Annotated[str, typer.Argument(help="One SQL query; - reads it from stdin.")],
    format: Annotated[  # noqa: A002 - the option's name on the command line
        OutputFormat, typer.Option("--format", "-f", help="table, csv or json.")
    ] = OutputFormat.TABLE,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Run one query on the current published snapshot (schema `marts`)."""
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise WrongUsage('there is no query: adx query "select * from marts.agg_campaign_daily"')
    rows = query_published(current_settings().published_dir, text)
    if as_json or format is OutputFormat.JSON:
        print_json(rows.to_dicts())
    elif format is OutputFormat.CSV:
        sys.stdout.write(rows.write_csv())
    else:
        _print_table(rows)


def _print_table(rows: pl.DataFrame) -> None:
    printed = [
        [escape(cell) if isinstance(cell, str) else cell for cell in row]
        for row in rows.head(_MAX_PRINTED).iter_rows()
    ]
    text_columns = 0
    for dtype in rows.dtypes:
        if dtype.is_numeric():
            break
        text_columns += 1
    stdout.print(table(f"{rows.height:,} rows", rows.columns, printed, left=text_columns))
    if rows.height > _MAX_PRINTED:
        stderr.print(f"the first {_MAX_PRINTED} rows; --format csv or json has all of them")
