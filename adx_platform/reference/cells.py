"""One CSV cell as a typed value.

Belongs here: how a date, a time, a whole number and an exact decimal are written in a reference
file. Does not belong here: rules about a column (``rules``) or a file (``files``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from adx_platform.contracts.columns import DataType

Value = str | int | Decimal | date | datetime

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class CellError(ValueError):
    """The text is not a value of the column's type; the message says what is expected."""


def parse_cell(text: str, dtype: DataType) -> Value:
    """The value that ``text`` writes.

    Raises:
        CellError: it writes none.
    """
    instance = dtype() if isinstance(dtype, type) else dtype
    if isinstance(instance, pl.Decimal):
        return _decimal(text, instance)
    if isinstance(instance, pl.Int32 | pl.Int64):
        return _whole(text, 31 if isinstance(instance, pl.Int32) else 63)
    return _PARSERS[type(instance)](text)


def _text(text: str) -> str:
    if text != text.strip():
        raise CellError("has blanks around it")
    return text


def _whole(text: str, bits: int) -> int:
    if not _WHOLE.fullmatch(text):
        raise CellError("is not a whole number")
    value = int(text)
    if not -(2**bits) <= value < 2**bits:
        raise CellError(f"does not fit in {bits + 1} bits")
    return value


def _decimal(text: str, dtype: pl.Decimal) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise CellError("is not a decimal number (write for example 1.08450000)")
    value = Decimal(text)
    places = len(text.partition(".")[2])
    if places > dtype.scale:
        raise CellError(f"has {places} decimal places, at most {dtype.scale} are kept")
    precision = dtype.precision or 38
    if abs(value) >= Decimal(10) ** (precision - dtype.scale):
        raise CellError(f"has more than {precision - dtype.scale} digits before the point")
    return value


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise CellError("is not a date (write YYYY-MM-DD)")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CellError(f"is not a date: {error}") from error


def _time(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise CellError("is not a time (write for example 2026-03-01T08:30:00Z)") from error
    # Without an offset it is UTC: the platform knows no other default.
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_PARSERS: dict[type[pl.DataType], Callable[[str], Value]] = {
    pl.String: _text,
    pl.Date: _date,
    pl.Datetime: _time,
}
