"""`adx query`: SQL on the published marts.

Belongs here: reading the statement and printing rows. Does not belong here: finding the snapshot
(``warehouse.published``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import polars.selectors as cs
import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import OutputFormat, figure, print_json, stderr, stdout, table
from adx_platform.errors import AdxError
from adx_platform.settings import current_settings
from adx_platform.warehouse.published import query_published

_DEFAULT_LIMIT = 200
_WRAPPED_AT = 40
_EXAMPLE = 'adx query "select * from marts.agg_campaign_daily"'


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("query")(query)


def query(
    sql: Annotated[str | None, typer.Argument(help="One SQL query; - reads it from stdin.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Read the query from this file.", exists=True, dir_okay=False),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Rows that a table shows; csv and json have all.")
    ] = _DEFAULT_LIMIT,
    format: Annotated[  # noqa: A002 - the option's name on the command line
        OutputFormat, typer.Option("--format", "-f", help="table, csv or json.")
    ] = OutputFormat.TABLE,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Run one query on the current published snapshot (schema `marts`).

    It changes nothing: the snapshot is read-only, and a query writes and reads no other file.
    """
    text = _text_of(sql, file)
    try:
        rows = query_published(current_settings().published_dir, text)
        if as_json or format is OutputFormat.JSON:
            # JSON has no infinity and no NaN, which x / 0 gives.
            finite = pl.when(cs.float().is_finite()).then(cs.float())
            print_json(rows.with_columns(finite).to_dicts())
        elif format is OutputFormat.CSV:
            sys.stdout.write(rows.write_csv())
        else:
            _print_rows(rows, limit)
    except pl.exceptions.DuplicateError as error:
        raise AdxError(f"two columns have one name, rename one with AS: {error}") from error
    except pl.exceptions.PolarsError as error:
        raise AdxError(f"a column cannot be shown, cast it to varchar: {error}") from error


def _text_of(sql: str | None, file: Path | None) -> str:
    if sql is not None and file is not None:
        raise WrongUsage("give the query itself or --file, not both")
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUsage(f"{file} cannot be read as UTF-8 text: {error}") from error
    else:
        text = sys.stdin.read() if sql == "-" else sql or ""
    if not text.strip():
        raise WrongUsage(f"there is no query: {_EXAMPLE}")
    return text


def _print_rows(rows: pl.DataFrame, limit: int) -> None:
    if rows.is_empty():
        stdout.print("no rows")
        return
    printed = [[figure(cell) for cell in row] for row in rows.head(limit).iter_rows()]
    if _width_of(rows.columns, printed) <= stdout.width:
        text = [n for n, dtype in enumerate(rows.dtypes) if not dtype.is_numeric()]
        title = "1 row" if rows.height == 1 else f"{rows.height:,} rows"
        stdout.print(table(title, rows.columns, printed, text=text))
    else:
        _print_records(rows.columns, printed)
    if rows.height > limit:
        stderr.print(
            f"the first {limit:,} of {rows.height:,} rows; --limit shows more, "
            "--format csv or json has all of them",
            highlight=False,
            soft_wrap=True,
        )


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
