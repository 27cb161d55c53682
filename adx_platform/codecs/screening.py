"""Checks on raw message bytes that every text format shares, done on whole columns.

Belongs here: null, empty, oversized and non-UTF-8 messages. Does not belong here: the syntax of
any one format.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from adx_platform.codecs.result import Reject
from adx_platform.contracts.dispositions import ReasonCode

MAX_MESSAGE_BYTES = 1 << 20
"""1 MiB, the broker's own default limit: larger messages are no events of ours."""

_SLICE = 128


@dataclass(frozen=True, slots=True)
class Screened:
    """Messages that are text, and the rejects among the others.

    Attributes:
        texts: columns ``row`` (UInt32) and ``text`` (String), ascending by row.
        rejects: one for every message that is no text.
    """

    texts: pl.DataFrame
    rejects: list[Reject]


def screen_texts(values: pl.Series, max_bytes: int = MAX_MESSAGE_BYTES) -> Screened:
    """Separate the messages that are UTF-8 text of an allowed size.

    Args:
        values: Binary series, one message a row; null is a tombstone.
        max_bytes: largest message, in bytes.
    """
    judged = (
        pl.DataFrame({"value": values})
        .with_row_index("row")
        .with_columns(size=pl.col("value").bin.size())
    )
    small = pl.when(pl.col("size") <= max_bytes).then(pl.col("value"))
    judged = judged.with_columns(text=as_text(judged.select(small).to_series()))
    is_text = (pl.col("size") > 0) & pl.col("text").is_not_null()
    rejects = [
        _reject(row, size, max_bytes)
        for row, size in judged.filter(~is_text.fill_null(value=False))
        .select("row", "size")
        .iter_rows()
    ]
    return Screened(judged.filter(is_text).select("row", "text"), rejects)


def as_text(values: pl.Series) -> pl.Series:
    """Binary to String; what is not UTF-8 becomes null.

    A cast with ``strict=False`` would say the same, but raises all the same (polars 2.1). So the
    values are cast in short slices, and only those of a slice that raises are decoded one by one:
    with one bad value in a thousand that takes a tenth of the time of decoding all of them.
    """
    try:
        return values.cast(pl.String)
    except pl.exceptions.ComputeError:
        slices = [_slice_as_text(values[i : i + _SLICE]) for i in range(0, len(values), _SLICE)]
        return pl.concat(slices, rechunk=True)


def _slice_as_text(values: pl.Series) -> pl.Series:
    try:
        return values.cast(pl.String)
    except pl.exceptions.ComputeError:
        texts = [_decoded(value) for value in values.to_list()]
        return pl.Series(values.name, texts, dtype=pl.String)


def _decoded(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _reject(row: int, size: int | None, max_bytes: int) -> Reject:
    if size is None:
        return Reject(row, ReasonCode.TOMBSTONE, "the message has a null value")
    if size == 0:
        return Reject(row, ReasonCode.EMPTY_MESSAGE, "the message has no bytes")
    if size > max_bytes:
        reason = f"the message has {size} bytes, more than the {max_bytes} allowed"
        return Reject(row, ReasonCode.TOO_LARGE, reason)
    return Reject(row, ReasonCode.INVALID_ENCODING, f"the {size} bytes are not valid UTF-8")
