"""`adx query`: SQL on the published marts.

Belongs here: reading the statement and printing rows. Does not belong here: finding the snapshot
(``warehouse.published``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import polars as pl
import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import OutputFormat, figure, print_json, stderr, stdout, table
from adx_platform.errors import AdxError
from adx_platform.settings import current_settings
from adx_platform.warehouse.published import query_published

_MAX_PRINTED = 200
_WRAPPED_AT = 40


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
    try:
        rows = query_published(current_settings().published_dir, text)
    except pl.exceptions.PolarsError as error:
        raise AdxError(f"a column cannot be shown, cast it to varchar: {error}") from error
    if as_json or format is OutputFormat.JSON:
        print_json(rows.to_dicts())
    elif format is OutputFormat.CSV:
        sys.stdout.write(rows.write_csv())
    else:
        _print_rows(rows)


def _print_rows(rows: pl.DataFrame) -> None:
    if rows.is_empty():
        stdout.print("no rows")
        return
    printed = [[figure(cell) for cell in row] for row in rows.head(_MAX_PRINTED).iter_rows()]
    if _width_of(rows.columns, printed) <= stdout.width:
        text = [n for n, dtype in enumerate(rows.dtypes) if not dtype.is_numeric()]
        title = "1 row" if rows.height == 1 else f"{rows.height:,} rows"
        stdout.print(table(title, rows.columns, printed, text=text))
    else:
        _print_records(rows.columns, printed)
    if rows.height > _MAX_PRINTED:
        stderr.print(f"the first {_MAX_PRINTED} rows; --format csv or json has all of them")


def _width_of(heads: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """Characters that a table needs to be readable; a longer text than so many may wrap."""
    cells = (max(map(len, (head, *column))) for head, *column in zip(heads, *body, strict=True))
    frame = 3 * len(heads) + 1
    return sum(min(width, _WRAPPED_AT) for width in cells) + frame


def _print_records(heads: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    """One line per value: a table with more columns than fit would show parts of words."""
    margin = max(map(len, heads))
    for number, row in enumerate(body, start=1):
        stdout.print(f"-- row {number:,} of {len(body):,}", style="dim", highlight=False)
        for head, cell in zip(heads, row, strict=True):
            stdout.print(f"{head:<{margin}}  {cell}", highlight=False, markup=False, soft_wrap=True)
