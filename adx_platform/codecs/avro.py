"""Avro messages in the Confluent frame to the wire columns of the `bid_requests` stream.

Belongs here: the grouping by writer schema and the shape of the answer. Does not belong here: the
frame (``avro_unframing``), judging a writer schema (``avro_writers``), reading the bytes of a
record (``avro_columnar``, ``avro_single``), or what a value means (``refine``).

Messages are read field by field, all messages at once, by code that checks every claim against the
bytes there are. The columnar Avro readers for Python were measured in November 2026 and are not
used: jetliner 0.2 reserves memory for the count that a list claims and takes the process down with
it, others never return from trailing bytes, and none says which message of a batch was bad or why.
"""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from adx_platform.codecs.avro_columnar import read_columns
from adx_platform.codecs.avro_failures import Failure
from adx_platform.codecs.avro_limits import LARGE_BODY, LONGEST_LIST
from adx_platform.codecs.avro_single import SingleOutcome, read_singly
from adx_platform.codecs.avro_unframing import unframe
from adx_platform.codecs.avro_writers import RefusedWriter, Writer, judge_writer
from adx_platform.codecs.registry import SchemaRegistry, UnknownSchemaIdError
from adx_platform.codecs.result import DecodedBatch, Reject, rejects_frame
from adx_platform.contracts.avro_schemas import EVENT_TIME_FIELD
from adx_platform.contracts.bid_requests import (
    AUCTION_COLUMNS,
    BID_COLUMNS,
    BID_NOTICE_COLUMNS,
    BID_REQUEST_COLUMNS,
    BID_RESPONSE_COLUMNS,
)
from adx_platform.contracts.columns import TIMESTAMP, Column, polars_schema
from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.openrtb import CONTRACT_NAMES, OPENRTB_COLUMNS

FRAME_SCHEMA: pl.Schema = polars_schema(
    (
        Column("row", pl.UInt32, "index into the decoded series"),
        Column("schema_id", pl.Int32, "writer schema in the registry"),
        Column("record_type", pl.String, "record type"),
        Column("event_id", pl.String, "identity of the event"),
        Column("event_time", TIMESTAMP, "received_at, responded_at or noticed_at"),
        *AUCTION_COLUMNS,
        # What else the refined table says of a request follows from the OpenRTB columns.
        *(column for column in BID_REQUEST_COLUMNS if column.name in CONTRACT_NAMES.values()),
        *BID_COLUMNS,
        *BID_RESPONSE_COLUMNS,
        *BID_NOTICE_COLUMNS,
        *OPENRTB_COLUMNS,
    )
)
"""Columns of the decoded frame."""

_HIGHEST_ID = 2**31 - 1
_NOT_READ_SINGLY = Failure(
    ReasonCode.TOO_LARGE,
    f"a list of more than {LONGEST_LIST} items under a schema that contains itself "
    "or has lists of nothing",
)


def decode_avro(values: pl.Series, registry: SchemaRegistry) -> DecodedBatch:
    """Decode a batch of framed Avro messages.

    Args:
        values: Binary; null is a tombstone.
        registry: where writer schemas are looked up.

    Returns:
        ``frame`` in :data:`FRAME_SCHEMA`, with the fields of the three record types in their
        columns and null elsewhere; ``rejects`` with the reason of every message that did not
        decode; ``noted``: fields that writers have and the contract does not, and widened types.

    Raises:
        RegistryError: the registry does not answer, or refuses; nothing is known about the
            messages then, so the batch has to be tried again.
    """
    framed, rejects = unframe(values)
    frames: list[pl.DataFrame] = []
    noted: set[str] = set()
    for schema_id in framed["schema_id"].unique().sort().to_list():
        members = framed.filter(pl.col("schema_id") == schema_id)
        writer = _writer(schema_id, registry)
        if isinstance(writer, RefusedWriter):
            failures = [(row, writer.failure) for row in members["row"].to_list()]
        else:
            frame, failures = _decode(members, writer)
            frames.append(frame.with_columns(schema_id=pl.lit(schema_id, pl.Int32)))
            noted.update(writer.noted)
        # The column is signed; no registry gives an id above its range.
        known_id = schema_id if schema_id <= _HIGHEST_ID else None
        rejects += [
            Reject(row, failure.code, failure.reason, writer.record_type, known_id)
            for row, failure in failures
        ]
    return DecodedBatch(_stacked(frames), rejects_frame(rejects), tuple(sorted(noted)))


def _writer(schema_id: int, registry: SchemaRegistry) -> Writer | RefusedWriter:
    if schema_id > _HIGHEST_ID:
        return _unknown(UnknownSchemaIdError(schema_id))
    try:
        return judge_writer(registry.schema(schema_id))
    except UnknownSchemaIdError as error:
        return _unknown(error)


def _unknown(error: UnknownSchemaIdError) -> RefusedWriter:
    return RefusedWriter(Failure(ReasonCode.UNKNOWN_SCHEMA_ID, str(error)))


def _decode(
    members: pl.DataFrame, writer: Writer
) -> tuple[pl.DataFrame, list[tuple[int, Failure]]]:
    """Decode the messages of one writer: together where that is the better way, else singly."""
    large = pl.col("body").bin.size() > LARGE_BODY
    together = members.filter(~large) if writer.may_read_singly else members
    frame, failures, deferred = read_columns(together["row"], together["body"], writer)
    frames = [_in_contract_columns(frame, writer)]
    if writer.may_read_singly:
        alone = members.filter(large | pl.col("row").is_in(deferred)).select("row", "body")
        if alone.height:
            outcomes = read_singly(alone.iter_rows(), writer)
            failures += [(one.row, one.failure) for one in outcomes if one.failure is not None]
            frames.append(_in_contract_columns(_single_frame(outcomes, writer), writer))
    else:
        failures += [(row, _NOT_READ_SINGLY) for row in deferred]
    return pl.concat(frames), failures


def _single_frame(outcomes: list[SingleOutcome], writer: Writer) -> pl.DataFrame:
    """The frame of messages that were read one by one."""
    schema = _field_schema(writer)
    integer_times = pl.Schema(
        {name: pl.Int64() if dtype == TIMESTAMP else dtype for name, dtype in schema.items()}
    )
    rows = [{"row": one.row, **one.record} for one in outcomes if one.record is not None]
    return pl.DataFrame(rows, schema=integer_times).cast(schema)


def _field_names(record_type: str) -> dict[str, str]:
    """Contract column to record field, where the two are not called the same."""
    names = {"event_time": EVENT_TIME_FIELD[record_type]}
    if record_type == "bid_request":
        names |= {column: name for name, column in CONTRACT_NAMES.items()}
    return names


def _field_schema(writer: Writer) -> pl.Schema:
    """``row`` and the record's fields, with the types of the columns they go into."""
    columns = {field: column for column, field in _field_names(writer.record_type).items()}
    schema = {name: FRAME_SCHEMA[columns.get(name, name)] for name in writer.reader.fields}
    # A 0/1 number on the wire, a boolean in the contract.
    flags = {name: pl.Int32() for name, dtype in schema.items() if dtype == pl.Boolean}
    return pl.Schema({"row": pl.UInt32(), **schema, **flags})


def _in_contract_columns(frame: pl.DataFrame, writer: Writer) -> pl.DataFrame:
    """Rename a record's fields to the contract's columns; columns of other records are null."""
    return frame.select(_contract_columns(writer.record_type, tuple(frame.columns)))


@lru_cache(maxsize=256)
def _contract_columns(record_type: str, fields: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    """One expression for each column; making them takes longer than small batches do."""
    renamed = _field_names(record_type)
    columns: list[pl.Expr] = []
    for column, dtype in FRAME_SCHEMA.items():
        name = renamed.get(column, column)
        if column == "record_type":
            columns.append(pl.lit(record_type, pl.String).alias(column))
        elif column == "is_test" and name in fields:
            columns.append((pl.col(name) != 0).alias(column))
        elif column != "schema_id" and name in fields:
            columns.append(pl.col(name).alias(column))
        else:
            columns.append(pl.lit(None, dtype).alias(column))
    return tuple(columns)


def _stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    if not frames:
        return pl.DataFrame(schema=FRAME_SCHEMA)
    return pl.concat(frames)
