"""What Redshift answers, as a frame.

Belongs here: the map from its types to those of polars. Does not belong here: asking it
(``redshift_connection``).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

# PostgreSQL's object ids, which Redshift kept.
_TYPES: Final[dict[int, pl.DataType]] = {
    16: pl.Boolean(),
    20: pl.Int64(),
    21: pl.Int16(),
    23: pl.Int32(),
    700: pl.Float32(),
    701: pl.Float64(),
    1082: pl.Date(),
    1114: pl.Datetime("us"),
}
_NUMERIC: Final = 1700


def frame_of(columns: Sequence[tuple[str, int]], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """A frame of ``rows``; a type that is not known becomes text.

    Args:
        columns: name and object id of the type of each column.
        rows: as Redshift's driver gives them.
    """
    series = []
    for position, (name, kind) in enumerate(columns):
        values = [row[position] for row in rows]
        if kind == _NUMERIC:
            series.append(pl.Series(name, values, dtype=_decimal_for(values)))
        elif kind in _TYPES:
            series.append(pl.Series(name, values, dtype=_TYPES[kind]))
        else:
            texts = [None if value is None else str(value) for value in values]
            series.append(pl.Series(name, texts, dtype=pl.String))
    return pl.DataFrame(series)


def _decimal_for(values: Sequence[Decimal | None]) -> pl.DataType:
    places = 0
    for value in values:
        if value is not None:
            exponent = value.as_tuple().exponent
            places = max(places, -exponent if isinstance(exponent, int) else 0)
    return pl.Decimal(38, places)
