"""`adx attribution`: credit per channel and model, from generic tables.

Belongs here: reading the files, the options, and printing. Does not belong here: what a table or a
model means (``attribution``).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from adx_platform.attribution.amounts import MICROS, decimal_text
from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.journeys import (
    DEFAULT_LOOKBACK,
    Windows,
    conversions_of_table,
    paths_of_journeys,
    touches_of_table,
)
from adx_platform.attribution.models import (
    DEFAULT_HALF_LIFE,
    DEFAULT_HALF_LIFE_TOUCHES,
    Model,
    ModelOptions,
    Worth,
    attribute,
)
from adx_platform.attribution.paths import DEFAULT_SEPARATOR, Paths, paths_of_table
from adx_platform.attribution.tables import Layout, TableKind, layout_of
from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import OutputFormat, print_json, stderr, stdout, table

_DURATION = re.compile(r"(\d{1,6}(?:\.\d+)?)([dhms])", re.ASCII)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FOR_JOURNEYS = "is for a touch and a conversion table; a path table has no times"


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("attribution")(attribution)


def attribution(
    paths: Annotated[
        list[Path],
        typer.Option(
            help="A CSV file: a path table; or twice, a touch table and a conversion table.",
            exists=True,
            dir_okay=False,
        ),
    ],
    model: Annotated[
        list[Model] | None, typer.Option(help="A model; give it again for more. Without it: all.")
    ] = None,
    *,
    separator: Annotated[
        str | None,
        typer.Option(help="What stands between the channels of a path. [default: >]"),
    ] = None,
    lookback: Annotated[
        str | None,
        typer.Option(help="How far a conversion looks back, such as 30d or 12h. [default: 30d]"),
    ] = None,
    view_lookback: Annotated[
        str | None, typer.Option(help="The same for touches of type view. [default: --lookback]")
    ] = None,
    half_life: Annotated[
        str | None,
        typer.Option(help="Time decay with times: credit halves in this time. [default: 7d]"),
    ] = None,
    half_life_touches: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Time decay of a path table: touches that halve credit. [default: 1]"
        ),
    ] = None,
    order: Annotated[
        int, typer.Option(min=1, max=10, help="Markov: how many channels a state remembers.")
    ] = 1,
    shapley_worth: Annotated[
        Worth, typer.Option(help="Shapley: what a coalition of channels is worth.")
    ] = Worth.CONVERSIONS,
    format: Annotated[  # noqa: A002 - the option's name on the command line
        OutputFormat, typer.Option("--format", "-f", help="table, csv or json.")
    ] = OutputFormat.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Print credit per channel and attribution model, from tables of paths.

    What a file is, its columns say. A path table: path (a > b > c), conversions, and, where there
    are some, value and null (the same path without a conversion). A touch table: user_id, channel,
    touch_time, and perhaps touch_type (click, view). A conversion table: user_id, conversion_time,
    and perhaps value. Times are ISO 8601, in UTC unless they say otherwise.

    The credits of every model add up to exactly the conversions, and to exactly their value.
    """
    tables = _read_all(paths)
    if TableKind.PATHS in tables:
        for name, given in (
            ("--lookback", lookback),
            ("--view-lookback", view_lookback),
            ("--half-life", half_life),
        ):
            _refuse(name, given, _FOR_JOURNEYS)
        found = _paths(tables, DEFAULT_SEPARATOR if separator is None else separator)
    else:
        _refuse("--separator", separator, "is for a path table")
        _refuse("--half-life-touches", half_life_touches, "is for a path table: give --half-life")
        found = _journeys(tables, lookback, view_lookback)
    options = ModelOptions(
        half_life=DEFAULT_HALF_LIFE if half_life is None else _duration(half_life),
        half_life_touches=half_life_touches or DEFAULT_HALF_LIFE_TOUCHES,
        order=order,
        worth=shapley_worth,
    )
    models = list(dict.fromkeys(model or Model))
    earned = attribute(found, models, options)
    _note_unattributed(found)
    if as_json or format is OutputFormat.JSON:
        print_json([_plain(row, found) for row in earned.iter_rows(named=True)])
    elif format is OutputFormat.CSV:
        sys.stdout.write(_lines(earned, found).write_csv())
    else:
        _print_tables(earned, models, found)


def _read_all(files: Sequence[Path]) -> dict[TableKind, tuple[pl.DataFrame, Layout]]:
    tables: dict[TableKind, tuple[pl.DataFrame, Layout]] = {}
    for file in files:
        try:
            read = pl.read_csv(file, infer_schema=False)
            layout = layout_of(read.columns)
        except pl.exceptions.PolarsError as error:
            raise AttributionError(f"{file} is no CSV table with a header: {error}") from error
        except AttributionError as error:
            raise AttributionError(f"{file}: {error}") from error
        if layout.kind in tables:
            raise WrongUsage(f"{file} is a second table of {layout.kind}: join them into one")
        tables[layout.kind] = read, layout
    if TableKind.PATHS in tables and len(tables) > 1:
        raise WrongUsage("a path table has its conversions in itself: give it alone")
    if TableKind.PATHS not in tables and len(tables) == 1:
        given = next(iter(tables))
        other = next(kind for kind in TableKind if kind not in {TableKind.PATHS, given})
        raise WrongUsage(
            f"a table of {given} needs one of {other} beside it: --paths {files[0]} --paths "
            f"{other}.csv"
        )
    return tables


def _paths(tables: dict[TableKind, tuple[pl.DataFrame, Layout]], separator: str) -> Paths:
    read, layout = tables[TableKind.PATHS]
    return paths_of_table(read, layout.columns, separator=separator)


def _journeys(
    tables: dict[TableKind, tuple[pl.DataFrame, Layout]],
    lookback: str | None,
    view_lookback: str | None,
) -> Paths:
    touches, touch_layout = tables[TableKind.TOUCHES]
    conversions, conversion_layout = tables[TableKind.CONVERSIONS]
    if "touch_type" not in touch_layout.columns:
        _refuse("--view-lookback", view_lookback, "needs a column touch_type in the touch table")
    windows = Windows(
        DEFAULT_LOOKBACK if lookback is None else _duration(lookback),
        None if view_lookback is None else _duration(view_lookback),
    )
    return paths_of_journeys(
        touches_of_table(touches, touch_layout.columns),
        conversions_of_table(conversions, conversion_layout.columns),
        windows,
        has_value="value" in conversion_layout.columns,
    )


def _refuse(option: str, given: object, why: str) -> None:
    if given is not None:
        raise WrongUsage(f"{option} {why}")


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not float(match[1]):
        raise WrongUsage(f"{text!r} is no length of time; write 30d, 12h, 90m or 45s")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _note_unattributed(found: Paths) -> None:
    if found.unattributed_micros:
        alone = found.unattributed_micros // MICROS
        everyone = alone + found.total("conversions_micros") // MICROS
        stderr.print(
            f"{alone:,} of {everyone:,} conversions have no touch in their window: they are "
            "nobody's credit and not in these figures",
            soft_wrap=True,
        )


def _measures(found: Paths) -> tuple[str, ...]:
    return ("conversions", "value") if found.has_value else ("conversions",)


def _plain(row: dict[str, str | int], found: Paths) -> dict[str, str | int | float]:
    plain: dict[str, str | int | float] = {"model": row["model"], "channel": row["channel"]}
    for name in _measures(found):
        micros = int(row[f"{name}_micros"])
        plain |= {name: micros / MICROS, f"{name}_micros": micros}
    return plain


def _lines(earned: pl.DataFrame, found: Paths) -> pl.DataFrame:
    columns = ["model", "channel"]
    for name in _measures(found):
        text = pl.Series(name, [decimal_text(micros) for micros in earned[f"{name}_micros"]])
        earned = earned.with_columns(text)
        columns += [name, f"{name}_micros"]
    return earned.select(columns)


def _print_tables(earned: pl.DataFrame, models: Sequence[Model], found: Paths) -> None:
    heads = ["channel", *(model.replace("_", "\n") for model in models)]
    wide = [
        (f"{name} by channel and model", _by_channel(earned, models, f"{name}_micros"))
        for name in _measures(found)
    ]
    if all(_width_of(heads, body) <= stdout.width for _, body in wide):
        for title, body in wide:
            stdout.print(table(title, heads, body))
        return
    # A figure that is cut off would be a wrong figure: one line per model and channel is narrow.
    columns = [f"{name}_micros" for name in _measures(found)]
    rows = [
        (model, channel, *(_figure(micros) for micros in cells))
        for model, channel, *cells in earned.select("model", "channel", *columns).iter_rows()
    ]
    title = "credit by model and channel"
    stdout.print(table(title, ("model", "channel", *_measures(found)), rows, text=(0, 1)))


def _by_channel(earned: pl.DataFrame, models: Sequence[Model], column: str) -> list[list[str]]:
    wide = earned.pivot("model", index="channel", values=column).sort("channel")
    totals = wide.select(pl.col(*models).sum()).row(0)
    return [
        [channel, *(_figure(micros) for micros in cells)]
        for channel, *cells in (*wide.iter_rows(), ("total", *totals))
    ]


def _width_of(heads: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """Characters that a table needs to show every figure whole."""
    columns = zip(heads, *body, strict=True)
    lines = (max(len(line) for cell in column for line in cell.split("\n")) for column in columns)
    return sum(lines) + 3 * len(heads) + 1


def _figure(micros: int) -> str:
    return f"{micros / MICROS:,.3f}"
