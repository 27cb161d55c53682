"""Message bytes of a stream to decoded rows of known record types.

Belongs here: which codec serves which wire format, and which record type a message is. Does not
belong here: the codecs themselves.
"""

from __future__ import annotations

import polars as pl

from adx_platform.codecs.avro import decode_avro
from adx_platform.codecs.csv_lines import decode_csv
from adx_platform.codecs.json_messages import decode_json
from adx_platform.codecs.result import DecodedBatch, Reject, rejects_frame
from adx_platform.contracts import ad_impressions, clicks_conversions
from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.streams import Wire
from adx_platform.refine.context import RefineContext

_NO_VERSION = -1
_VERSION_DIGITS = 6


def decode(messages: pl.DataFrame, context: RefineContext) -> DecodedBatch:
    """Decode raw messages.

    Args:
        messages: raw rows that are messages (no gaps), with ``value`` and ``headers``.
        context: names the stream, and has its registry.

    Returns:
        Decoded rows with ``record_type``, and the rejects; ``row`` counts from 0 in ``messages``.

    Raises:
        ValueError: the stream is Avro and the context has no registry.
    """
    values, limit = messages["value"], context.max_message_bytes
    if context.stream.wire is Wire.JSON:
        batch = decode_json(values, max_bytes=limit)
        only = ad_impressions.RECORD_TYPES[0]
        return DecodedBatch(
            batch.frame.with_columns(record_type=pl.lit(only)),
            batch.rejects.with_columns(record_type=pl.lit(only)),
            batch.noted,
        )
    if context.stream.wire is Wire.CSV:
        return _typed_by_event(decode_csv(values, _stated_versions(messages), max_bytes=limit))
    if context.registry is None:
        raise ValueError(f"refining {context.stream.name} needs a schema registry in the context")
    return decode_avro(values, context.registry)


def may_hold_nul(values: pl.Series, context: RefineContext) -> bool:
    """Whether a decoded text may contain a NUL: false only where none of the messages has one.

    Args:
        values: Binary series, the messages; null is a tombstone.
        context: names the stream.
    """
    if context.stream.wire is Wire.AVRO:
        # Its numbers are full of zero bytes.
        return True
    held = values.bin.contains(b"\0")
    if context.stream.wire is Wire.JSON:
        held |= values.bin.contains(b"\\u0000")
    return bool(held.any())


def _stated_versions(messages: pl.DataFrame) -> pl.Series | None:
    """The contract version of each message's header; one that is no number is no known version."""
    if not (messages["headers"].list.len() > 0).any():
        return None
    name, value = pl.element().struct.field("key"), pl.element().struct.field("value")
    stated = messages.select(
        pl.col("headers")
        .list.eval(value.filter(name == clicks_conversions.VERSION_HEADER).fill_null(b""))
        .list.last()
    ).to_series()
    distinct = stated.drop_nulls().unique()
    versions = [_version(text) for text in distinct.to_list()]
    return stated.replace_strict(
        distinct, pl.Series(versions, dtype=pl.Int32), default=None, return_dtype=pl.Int32
    )


def _version(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= _VERSION_DIGITS else _NO_VERSION


def _typed_by_event(batch: DecodedBatch) -> DecodedBatch:
    """Clicks and conversions by ``event_type``; anything else is refused."""
    frame = batch.frame.with_columns(
        record_type=pl.col("event_type").str.strip_chars().str.to_lowercase()
    )
    known = pl.col("record_type").is_in(clicks_conversions.RECORD_TYPES).fill_null(value=False)
    rejects = [
        _unknown(row, record_type, event_id)
        for row, record_type, event_id in frame.filter(~known)
        .select("row", "record_type", "event_id")
        .iter_rows()
    ]
    return DecodedBatch(
        frame.filter(known), pl.concat([batch.rejects, rejects_frame(rejects)]), batch.noted
    )


def _unknown(row: int, record_type: str | None, event_id: str | None) -> Reject:
    if not record_type:
        reason = "event_type: required, but absent or empty"
        return Reject(row, ReasonCode.MISSING_FIELD, reason, event_id=event_id)
    kinds = " or ".join(clicks_conversions.RECORD_TYPES)
    reason = f"event_type: expected {kinds}, got text of {len(record_type)} characters"
    return Reject(row, ReasonCode.UNKNOWN_RECORD_TYPE, reason, event_id=event_id)
