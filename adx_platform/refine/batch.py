"""The order of the steps: a batch of raw rows to the same number of refined rows.

Belongs here: putting the steps together, and the rows that are no events (rejects, gaps). Does not
belong here: the rules of any step.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import NamedTuple

import polars as pl
import xxhash

from adx_platform.codecs.json_depth import MAX_DEPTH
from adx_platform.contracts.bid_requests import RECORD_TYPES as BID_RECORD_TYPES
from adx_platform.contracts.dispositions import Disposition, ReasonCode
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.streams import stream_named
from adx_platform.refine.context import RefineContext
from adx_platform.refine.decode import decode, may_hold_nul
from adx_platform.refine.duplicates import mark_duplicates
from adx_platform.refine.enrich import enrich
from adx_platform.refine.extension import readable_extensions
from adx_platform.refine.privacy import reduce_identity, reduce_openrtb
from adx_platform.refine.standardise import standardise
from adx_platform.refine.suppression import without_the_erased
from adx_platform.refine.time_bounds import judge_times
from adx_platform.refine.validate import faults

_BID_REQUEST = BID_RECORD_TYPES[0]
_WITHOUT_IDENTITY = frozenset(BID_RECORD_TYPES) - {_BID_REQUEST}
_LONGEST_KEPT_ID = 200
"""A rejected row's event id is kept for look-ups, unless it is no id any more."""
_NO_DATE = date(1970, 1, 1)
"""Event date of a gap that has no message anywhere near it."""


_NO_EXTENSION = f"extension_json: not a JSON object of at most {MAX_DEPTH} levels"


class Refined(NamedTuple):
    """Refined rows, and what of their messages differs from the contract and was let pass."""

    rows: pl.DataFrame
    noted: tuple[str, ...]


def refine_batch(raw: pl.DataFrame, context: RefineContext) -> pl.DataFrame:
    """The rows of :func:`refine_and_note` alone."""
    return refine_and_note(raw, context).rows


def refine_and_note(raw: pl.DataFrame, context: RefineContext) -> Refined:
    """Refine raw rows.

    Args:
        raw: rows of ``RAW_SCHEMA``: messages and gaps.
        context: contract, registry, reference data, keys and bounds.

    Returns:
        ``rows``: a frame of the stream's ``events_schema``: one row per row of ``raw``, with its
        disposition; the rows of one record type together, for they share the columns that are null,
        and in the order of ``raw``; revision is 0. ``noted``: see ``DecodedBatch``.

    Raises:
        ValueError: ``raw`` does not have the columns of ``RAW_SCHEMA``.
        RegistryUnavailableError: the schema registry does not answer; the batch can be tried again.
    """
    if raw.schema != RAW_SCHEMA:
        raise ValueError(f"raw rows need the schema {RAW_SCHEMA}, got {raw.schema}")
    parts, noted = _parts(raw, context)
    # In one piece: of columns in different pieces polars copies all, for every step that follows.
    refined = pl.concat(parts, rechunk=True) if parts else context.stream.events_schema.to_frame()
    # Held twice until here: what follows would find no less memory taken.
    parts.clear()
    if refined.height != raw.height:
        raise RuntimeError(f"{raw.height} raw rows were refined to {refined.height}")
    marked = refined.with_columns(mark_duplicates(refined).alias("disposition"))
    return Refined(without_the_erased(marked, context.reference.erased), noted)


def _parts(raw: pl.DataFrame, context: RefineContext) -> tuple[list[pl.DataFrame], tuple[str, ...]]:
    """Refined rows but for what other rows decide, in frames of one kind each; and the notes."""
    messages = raw.filter(pl.col("gap_kind").is_null())
    head = _heads(messages, context)
    decoded = decode(messages, context)
    parts: list[pl.DataFrame] = []
    if messages.height < raw.height:
        parts.append(_gaps(raw.filter(pl.col("gap_kind").is_not_null()), context))
    if decoded.rejects.height:
        undecoded = head.join(_named(decoded.rejects), on="row", maintain_order="right")
        parts.append(_rejected(undecoded, context))
    has_nul = may_hold_nul(messages["value"], context)
    for (record_type,), part in decoded.frame.group_by("record_type", maintain_order=True):
        parts += _judged(str(record_type), _with_head(head, part), context, has_nul=has_nul)
    return parts, decoded.noted


def _heads(messages: pl.DataFrame, context: RefineContext) -> pl.DataFrame:
    """The envelope of each message, as far as it does not depend on the content."""
    digest = xxhash.xxh3_128_hexdigest
    fingerprints = [
        None if value is None else digest(value) for value in messages["value"].to_list()
    ]
    return messages.select(
        "topic_id",
        "partition",
        "offset",
        "kafka_timestamp",
        pl.Series("payload_fingerprint", fingerprints, dtype=pl.String),
        contract_version=pl.lit(context.stream.contract_version, dtype=pl.Int32),
        reference_version=pl.lit(context.reference.version),
        revision=pl.lit(0, dtype=pl.Int64),
    ).with_row_index("row")


def _with_head(head: pl.DataFrame, decoded: pl.DataFrame) -> pl.DataFrame:
    """Decoded rows of one record type beside their part of ``head``, which is ascending by row."""
    # Writers of one record type come one after the other; nearly always there is one.
    ascending = decoded if decoded["row"].is_sorted() else decoded.sort("row")
    return pl.concat(
        [head.filter(pl.col("row").is_in(ascending["row"].implode())), ascending.drop("row")],
        how="horizontal",
    )


def _judged(
    record_type: str, wide: pl.DataFrame, context: RefineContext, *, has_nul: bool
) -> list[pl.DataFrame]:
    """Rows of one record type through all steps: those accepted so far, and those rejected."""
    frame = standardise(record_type, wide)
    frame = judge_times(frame, context.rules)
    if record_type not in _WITHOUT_IDENTITY:
        frame = enrich(frame, context.reference)
        frame = reduce_identity(frame, context.privacy)
    parts: list[pl.DataFrame] = []
    if record_type == _BID_REQUEST:
        readable = readable_extensions(frame["extension_json"])
        if not readable.all():
            unreadable = frame.filter(~readable).with_columns(
                reason_code=pl.lit(str(ReasonCode.INVALID_VALUE)), reason=pl.lit(_NO_EXTENSION)
            )
            parts.append(_rejected(unreadable, context))
            frame = frame.filter(readable)
        frame = reduce_openrtb(frame, context.privacy)
    frame = frame.with_columns(
        event_date=pl.col("event_time").dt.date(), disposition=pl.lit(str(Disposition.ACCEPTED))
    )
    candidates = _conform(frame, context)
    found = faults(context.stream, record_type, candidates, has_nul=has_nul)
    # An event time out of bounds is null by now; its own reason comes before "missing".
    is_untimely = frame["time_code"].is_not_null()
    found = found.filter(~is_untimely[found["at"]])
    faulty = candidates[found["at"]].with_columns(found["reason_code"], found["reason"])
    untimely = frame.filter(is_untimely).with_columns(reason_code="time_code", reason="time_reason")
    # Once only: a filter copies what it lets pass.
    parts.append(candidates.filter(~is_untimely.scatter(found["at"], values=True)))
    parts += [_rejected(part, context) for part in (faulty, untimely) if part.height]
    return parts


def _named(rejects: pl.DataFrame) -> pl.DataFrame:
    """Rejects of any codec; not every codec can tell an event id."""
    return (
        rejects
        if "event_id" in rejects.columns
        else rejects.with_columns(event_id=pl.lit(None, dtype=pl.String))
    )


def _rejected(rows: pl.DataFrame, context: RefineContext) -> pl.DataFrame:
    """Keep of rejected rows what locates and explains them, and nothing personal."""
    has_time = "event_time" in rows.columns
    event_time = pl.col("event_time") if has_time else pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    kept = rows.select(
        "topic_id",
        "partition",
        "offset",
        "kafka_timestamp",
        "revision",
        "reason_code",
        "reason",
        "record_type",
        "contract_version",
        "reference_version",
        "payload_fingerprint",
        *(["schema_id"] if "schema_id" in rows.columns else []),
        disposition=pl.lit(str(Disposition.REJECTED)),
        event_id=pl.when(pl.col("event_id").str.len_chars() <= _LONGEST_KEPT_ID).then("event_id"),
        event_time=event_time,
    )
    return _conform(kept.with_columns(event_date=_any_date("event_time")), context)


def _gaps(gaps: pl.DataFrame, context: RefineContext) -> pl.DataFrame:
    """Gap rows: their kind is their disposition."""
    return _conform(
        gaps.select(
            "topic_id",
            "partition",
            "offset",
            "gap_length",
            "kafka_timestamp",
            revision=pl.lit(0, dtype=pl.Int64),
            disposition="gap_kind",
            event_date=pl.coalesce(pl.col("kafka_timestamp").dt.date(), pl.lit(_NO_DATE)),
        ),
        context,
    )


def _any_date(time_column: str) -> pl.Expr:
    return pl.coalesce(
        pl.col(time_column).dt.date(), pl.col("kafka_timestamp").dt.date(), pl.lit(_NO_DATE)
    )


def _conform(frame: pl.DataFrame, context: RefineContext) -> pl.DataFrame:
    """The stream's columns in table order; what a row type lacks is null."""
    present = frame.schema
    nulls = _nulls(context.stream.name)
    return frame.select(
        (name if present[name] == dtype else pl.col(name).cast(dtype))
        if name in present
        else nulls[name]
        for name, dtype in context.stream.events_schema.items()
    )


@cache
def _nulls(stream: str) -> dict[str, pl.Expr]:
    """Each column as it is where a row type lacks it; making seventy takes a millisecond."""
    schema = stream_named(stream).events_schema
    return {name: pl.lit(None, dtype).alias(name) for name, dtype in schema.items()}
