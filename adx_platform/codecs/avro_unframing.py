"""The Confluent frame of a batch of messages: one zero byte and a four-byte schema id.

Belongs here: telling framed messages from others. Does not belong here: what is inside the body
(``avro_columnar``, ``avro_single``).
"""

from __future__ import annotations

import polars as pl

from adx_platform.codecs.encoding import FRAME_BYTES, MAGIC
from adx_platform.codecs.result import Reject
from adx_platform.codecs.screening import MAX_MESSAGE_BYTES
from adx_platform.contracts.dispositions import ReasonCode


def unframe(values: pl.Series) -> tuple[pl.DataFrame, list[Reject]]:
    """Take the frame off the messages that have one.

    Args:
        values: Binary; null is a tombstone.

    Returns:
        A frame of ``row`` (UInt32, index into ``values``, ascending), ``schema_id`` (UInt32, as in
        the frame) and ``body`` (Binary), and a reject for every other message.
    """
    size = pl.col("value").bin.size()
    code = (
        pl.when(pl.col("value").is_null())
        .then(pl.lit(str(ReasonCode.TOMBSTONE)))
        .when(size == 0)
        .then(pl.lit(str(ReasonCode.EMPTY_MESSAGE)))
        .when(size > MAX_MESSAGE_BYTES)
        .then(pl.lit(str(ReasonCode.TOO_LARGE)))
        .when((size < FRAME_BYTES) | ~pl.col("value").bin.starts_with(MAGIC))
        .then(pl.lit(str(ReasonCode.BAD_MAGIC)))
    )
    judged = pl.DataFrame({"value": values}).with_row_index("row").with_columns(code=code)
    framed = judged.filter(pl.col("code").is_null()).select(
        "row",
        pl.col("value")
        .bin.slice(1, FRAME_BYTES - 1)
        .bin.reinterpret(dtype=pl.UInt32, endianness="big")
        .alias("schema_id"),
        pl.col("value").bin.slice(FRAME_BYTES).alias("body"),
    )
    refused = judged.filter(pl.col("code").is_not_null()).select("row", "code").iter_rows()
    return framed, [
        Reject(row, ReasonCode(code), _REASONS[ReasonCode(code)]) for row, code in refused
    ]


_REASONS: dict[ReasonCode, str] = {
    ReasonCode.TOMBSTONE: "the message has a null value",
    ReasonCode.EMPTY_MESSAGE: "the message has no bytes",
    ReasonCode.TOO_LARGE: f"the message is longer than {MAX_MESSAGE_BYTES} bytes",
    ReasonCode.BAD_MAGIC: "the message does not start with a zero byte and a four-byte schema id",
}
