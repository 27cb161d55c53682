"""What became of an offset, and the reason codes of those that were rejected.

Belongs here: the closed lists that the conservation equation and every report use. Does not belong
here: the rules that assign them (``codecs`` and ``refine``).
"""

from __future__ import annotations

from enum import StrEnum


class Disposition(StrEnum):
    """The one fate of a Kafka offset; conservation sums over these.

    ``ABSENT`` and ``LOST`` are gap rows: they stand for ``gap_length`` consecutive offsets.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    ABSENT = "absent"
    LOST = "lost"


GAP_DISPOSITIONS = frozenset({Disposition.ABSENT, Disposition.LOST})


class ReasonCode(StrEnum):
    """Why a record was rejected. The codes are stable: replays and alerts select by them."""

    EMPTY_MESSAGE = "empty_message"
    TOMBSTONE = "tombstone"
    TOO_LARGE = "too_large"
    INVALID_ENCODING = "invalid_encoding"
    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_DEEP = "too_deep"
    DUPLICATE_KEY = "duplicate_key"
    MALFORMED_CSV = "malformed_csv"
    WRONG_COLUMN_COUNT = "wrong_column_count"
    BAD_MAGIC = "bad_magic"
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"
    MALFORMED_AVRO = "malformed_avro"
    TRAILING_BYTES = "trailing_bytes"
    INCOMPATIBLE_SCHEMA = "incompatible_schema"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_RECORD_TYPE = "unknown_record_type"
    MISSING_FIELD = "missing_field"
    INVALID_VALUE = "invalid_value"
    EVENT_IN_FUTURE = "event_in_future"
    EVENT_TOO_OLD = "event_too_old"


REASON_DESCRIPTIONS: dict[ReasonCode, str] = {
    ReasonCode.EMPTY_MESSAGE: "the message has no bytes",
    ReasonCode.TOMBSTONE: "the message has a null value",
    ReasonCode.TOO_LARGE: "the message is larger than the contract allows",
    ReasonCode.INVALID_ENCODING: "the bytes are not valid UTF-8",
    ReasonCode.MALFORMED_JSON: "the bytes are not one JSON document",
    ReasonCode.NOT_AN_OBJECT: "the JSON document is not an object",
    ReasonCode.TOO_DEEP: "the JSON document is nested too deeply",
    ReasonCode.DUPLICATE_KEY: "the JSON object has the same key twice",
    ReasonCode.MALFORMED_CSV: "the bytes are not one RFC 4180 line",
    ReasonCode.WRONG_COLUMN_COUNT: "the number of CSV columns fits no contract version",
    ReasonCode.BAD_MAGIC: "the message does not start with the Confluent frame",
    ReasonCode.UNKNOWN_SCHEMA_ID: "the schema registry does not know the writer schema",
    ReasonCode.MALFORMED_AVRO: "the Avro body cannot be read with its writer schema",
    ReasonCode.TRAILING_BYTES: "bytes are left after the Avro record",
    ReasonCode.INCOMPATIBLE_SCHEMA: "the writer schema cannot be resolved to the contract",
    ReasonCode.WRONG_TYPE: "a field has a type that the contract does not allow",
    ReasonCode.UNKNOWN_RECORD_TYPE: "the record type is not one of the stream's",
    ReasonCode.MISSING_FIELD: "a required field is absent or null",
    ReasonCode.INVALID_VALUE: "a field's value is outside its contract",
    ReasonCode.EVENT_IN_FUTURE: "the event time is further ahead of the broker's than allowed",
    ReasonCode.EVENT_TOO_OLD: "the event time is further behind the broker's than accepted",
}
