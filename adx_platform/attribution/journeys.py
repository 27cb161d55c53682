"""Paths from a table of touches and a table of conversions.

Belongs here: which touches a conversion looks back on, and which paths led nowhere. Does not belong
here: crediting anybody (the models).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from adx_platform.attribution.amounts import MICROS, micros_column
from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.paths import PATHS_SCHEMA, Paths, checked

DEFAULT_LOOKBACK = timedelta(days=30)
VIEW = "view"
TOUCH_TYPES = ("click", VIEW)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOTALS = ("conversions_micros", "value_micros", "nulls_micros")


@dataclass(frozen=True, slots=True)
class Windows:
    """How far a conversion looks back; both edges are inside."""

    lookback: timedelta = DEFAULT_LOOKBACK
    view_lookback: timedelta | None = None
    """For touches of type ``view``; absent: the same."""

    def micros(self) -> pl.Expr:
        """The window of a touch, by its ``is_view``."""
        views = self.lookback if self.view_lookback is None else self.view_lookback
        window = pl.when("is_view").then(views // _MICROSECOND)
        return window.otherwise(self.lookback // _MICROSECOND)


def touches_of_table(table: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Read a touch table.

    Args:
        table: all columns are text.
        columns: the table's own names of ``user_id``, ``channel``, ``touch_time`` and, where it
            has one, ``touch_type``.

    Returns:
        ``touch`` (the row), ``user_id``, ``channel``, ``touched_at`` (UTC, micros), ``is_view``.

    Raises:
        AttributionError: a cell is empty, a time is none, or a type is neither click nor view.
    """
    if "touch_type" in columns:
        types = _texts(table, columns, "touch_type")
    else:
        types = ["click"] * table.height
    for row, kind in enumerate(types, start=1):
        if kind.lower() not in TOUCH_TYPES:
            raise AttributionError(f"row {row}: touch_type is {kind[:40]!r}; it is click or view")
    return pl.DataFrame(
        {
            "user_id": _texts(table, columns, "user_id"),
            "channel": _texts(table, columns, "channel"),
            "touched_at": _times(table, columns, "touch_time"),
            "is_view": [kind.lower() == VIEW for kind in types],
        },
        schema={
            "user_id": pl.String,
            "channel": pl.String,
            "touched_at": pl.Int64,
            "is_view": pl.Boolean,
        },
    ).with_row_index("touch")


def conversions_of_table(table: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Read a conversion table.

    Args:
        table: all columns are text.
        columns: the table's own names of ``user_id``, ``conversion_time`` and, where it has one,
            ``value``.

    Returns:
        ``conversion`` (the row), ``user_id``, ``converted_at`` (UTC, micros), ``value_micros``.

    Raises:
        AttributionError: a cell is empty, a time is none, or a value is no number.
    """
    if "value" in columns:
        values = micros_column("value", table[columns["value"]], blank=0)
    else:
        values = [0] * table.height
    return pl.DataFrame(
        {
            "user_id": _texts(table, columns, "user_id"),
            "converted_at": _times(table, columns, "conversion_time"),
            "value_micros": values,
        },
        schema={"user_id": pl.String, "converted_at": pl.Int64, "value_micros": pl.Int64},
    ).with_row_index("conversion")


def paths_of_journeys(
    touches: pl.DataFrame, conversions: pl.DataFrame, windows: Windows, *, has_value: bool
) -> Paths:
    """The path of each conversion, and the paths that led to none.

    A conversion's path is every touch of its user in the window before it, in the order of time
    (of the table, where times are equal); conversions do not take touches from each other. Touches
    that belong to no conversion make non-converting paths, one per user and stretch of time: after
    a pause longer than the look-back another begins.

    Args:
        touches: as :func:`touches_of_table` gives them.
        conversions: as :func:`conversions_of_table` gives them.
        windows: how far a conversion looks back.
        has_value: whether ``value_micros`` means anything.

    Raises:
        AttributionError: no conversion has a touch in its window.
    """
    pairs = (
        conversions.lazy()
        .join(touches.lazy(), on="user_id")
        .with_columns(age_micros=pl.col("converted_at") - pl.col("touched_at"))
        .filter(pl.col("age_micros").is_between(0, windows.micros()))
        .sort("conversion", "touched_at", "touch")
        .collect()
    )
    converting = pairs.group_by("conversion", maintain_order=True).agg(
        pl.col("channel").alias("path"),
        pl.col("age_micros").alias("ages_micros"),
        pl.lit(MICROS, pl.Int64).alias("conversions_micros"),
        pl.col("value_micros").first(),
        pl.lit(0, pl.Int64).alias("nulls_micros"),
    )
    without = conversions.join(converting, on="conversion", how="anti")
    frame = pl.concat(
        [
            converting.select(PATHS_SCHEMA.names()),
            _paths_to_nothing(touches.join(pairs, on="touch", how="anti"), windows.lookback),
        ]
    )
    return checked(
        Paths(
            frame,
            has_value=has_value,
            has_times=True,
            unattributed_micros=without.height * MICROS,
            unattributed_value_micros=int(without["value_micros"].sum()),
        )
    )


def _paths_to_nothing(touches: pl.DataFrame, pause: timedelta) -> pl.DataFrame:
    gap = pl.col("touched_at").diff().over("user_id")
    stretch = (gap > pause // _MICROSECOND).fill_null(value=False).cum_sum().over("user_id")
    return (
        touches.sort("user_id", "touched_at", "touch")
        .with_columns(stretch=stretch)
        .group_by("user_id", "stretch", maintain_order=True)
        .agg(pl.col("channel").alias("path"))
        .select(
            "path",
            pl.lit(None, pl.List(pl.Int64)).alias("ages_micros"),
            *(pl.lit(MICROS * (name == "nulls_micros"), pl.Int64).alias(name) for name in _TOTALS),
        )
    )


def _texts(table: pl.DataFrame, columns: Mapping[str, str], name: str) -> list[str]:
    cells = [(cell or "").strip() for cell in table[columns[name]]]
    if "" in cells:
        raise AttributionError(
            f"row {cells.index('') + 1}: {name} is empty; leave out rows that belong to nobody"
        )
    return cells


def _times(table: pl.DataFrame, columns: Mapping[str, str], name: str) -> list[int]:
    times = []
    for row, text in enumerate(_texts(table, columns, name), start=1):
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise AttributionError(
                f"row {row}: {name} is {text[:40]!r}; write times as 2026-03-02T10:00:00Z (without "
                "an offset they are UTC)"
            ) from error
        aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        times.append((aware - _EPOCH) // _MICROSECOND)
    return times
