"""Paths: the one shape that every model reads, and the path table it is read from.

Belongs here: the frame of paths and its checks. Does not belong here: joining touches with
conversions (``journeys``), or crediting anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from adx_platform.attribution.amounts import MICROS, micros_column
from adx_platform.attribution.errors import AttributionError
from adx_platform.contracts.columns import DataType

_COLUMNS: dict[str, DataType] = {
    "path": pl.List(pl.String),
    "ages_micros": pl.List(pl.Int64),
    "conversions_micros": pl.Int64,
    "value_micros": pl.Int64,
    "nulls_micros": pl.Int64,
}
PATHS_SCHEMA = pl.Schema(_COLUMNS)
"""One row per path, channels in the order of their touches, first touch first.

``ages_micros`` is the time from each touch to the conversion (null where times are not known);
``nulls_micros`` counts the same path without a conversion. Counts are in micros, like values.
"""

DEFAULT_SEPARATOR = ">"


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths to attribute, and what could not be attributed to any."""

    frame: pl.DataFrame
    """Columns as in :data:`PATHS_SCHEMA`; no path is empty."""
    has_value: bool
    """Whether the conversions had a value."""
    has_times: bool
    """Whether ``ages_micros`` is known for every path that converted."""
    unattributed_micros: int = 0
    """Conversions without any touch in their window: nobody's credit."""
    unattributed_value_micros: int = 0
    """The value of these."""

    @property
    def channels(self) -> list[str]:
        """Every channel of any path, by name."""
        return sorted(self.frame["path"].explode(empty_as_null=False).unique().to_list())

    def total(self, column: str) -> int:
        """The sum of one of the columns in micros."""
        return int(self.frame[column].sum())

    def distinct(self) -> pl.DataFrame:
        """Each path once, without times: ``path`` and the three sums."""
        sums = ("conversions_micros", "value_micros", "nulls_micros")
        return self.frame.group_by("path", maintain_order=True).agg(
            pl.col(name).sum() for name in sums
        )


def paths_of_table(
    table: pl.DataFrame, columns: Mapping[str, str], *, separator: str = DEFAULT_SEPARATOR
) -> Paths:
    """Read a path table: one row per path, with how often it converted, and how often not.

    Rows with the same path add up. White space around channels does not count.

    Args:
        table: all columns are text.
        columns: the table's own names of ``path`` and ``conversions``, and of ``value`` and
            ``nulls`` where it has them.
        separator: what stands between two channels.

    Raises:
        AttributionError: a path or a channel is empty, a number is none, a value belongs to no
            conversion, or nothing converted.
    """
    if not separator.strip():
        raise AttributionError("the separator is empty: give the text between two channels")
    conversions = micros_column("conversions", table[columns["conversions"]], blank=None)
    frame = pl.DataFrame(
        {
            "path": [
                _channels(text, row, separator.strip())
                for row, text in enumerate(table[columns["path"]], start=1)
            ],
            "ages_micros": [None] * table.height,
            "conversions_micros": conversions,
            "value_micros": _optional(table, columns, "value"),
            "nulls_micros": _optional(table, columns, "nulls"),
        },
        schema=PATHS_SCHEMA,
    )
    return checked(Paths(frame, has_value="value" in columns, has_times=False))


def checked(paths: Paths) -> Paths:
    """``paths``, in which somebody converted and every value belongs to a conversion.

    Raises:
        AttributionError: it is not so.
    """
    if not paths.total("conversions_micros"):
        if paths.unattributed_micros:
            raise AttributionError(
                f"none of {paths.unattributed_micros // MICROS:,} conversions has a touch in its "
                "look-back window: see that both tables name users alike, or widen the window"
            )
        raise AttributionError("there are no conversions: there is nothing to give credit for")
    stray = paths.frame.with_row_index("row", offset=1).filter(
        (pl.col("conversions_micros") == 0) & (pl.col("value_micros") > 0)
    )
    if not stray.is_empty():
        raise AttributionError(
            f"row {stray['row'][0]}: there is a value but no conversion that earned it"
        )
    return paths


def _optional(table: pl.DataFrame, columns: Mapping[str, str], name: str) -> list[int]:
    if name not in columns:
        return [0] * table.height
    return micros_column(name, table[columns[name]], blank=0)


def _channels(text: str | None, row: int, separator: str) -> list[str]:
    channels = [part.strip() for part in (text or "").split(separator)]
    if channels == [""]:
        raise AttributionError(f"row {row}: the path is empty")
    if "" in channels:
        raise AttributionError(
            f"row {row}: a channel is empty in {(text or '')[:80]!r}; channels are separated by "
            f"{separator!r} (--separator says otherwise)"
        )
    return channels
