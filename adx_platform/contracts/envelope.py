"""Columns that every stream shares: the raw landing and the head of every refined row.

Belongs here: where a row came from (topic id, partition, offset) and what became of it. Does not
belong here: anything that depends on what a message means.
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.columns import TIMESTAMP, Column, polars_schema

HEADER_DTYPE = pl.List(pl.Struct({"key": pl.String, "value": pl.Binary}))

RAW_COLUMNS: tuple[Column, ...] = (
    Column(
        "topic_id",
        pl.String,
        "identity of the topic: its uuid, or its name where the broker has no ids",
        True,
    ),
    Column("partition", pl.Int32, "Kafka partition", True),
    Column("offset", pl.Int64, "Kafka offset; of a gap row: the first missing offset", True),
    Column(
        "gap_kind", pl.String, "null for a message; 'absent' or 'lost' for a run of missing offsets"
    ),
    Column("gap_length", pl.Int64, "of a gap row: how many consecutive offsets it stands for"),
    Column("kafka_timestamp", TIMESTAMP, "the broker's timestamp; of a gap row: of its neighbour"),
    Column("key", pl.Binary, "message key"),
    Column("value", pl.Binary, "message bytes, undecoded; null for a tombstone or a gap row"),
    Column("headers", HEADER_DTYPE, "message headers in their order"),
)
RAW_SCHEMA = polars_schema(RAW_COLUMNS)

ENVELOPE_COLUMNS: tuple[Column, ...] = (
    Column("topic_id", pl.String, "identity of the topic", True),
    Column("partition", pl.Int32, "Kafka partition", True),
    Column("offset", pl.Int64, "Kafka offset; of a gap row: the first missing offset", True),
    Column(
        "gap_length",
        pl.Int64,
        "of an absent or lost row: how many consecutive offsets it stands for",
    ),
    Column("kafka_timestamp", TIMESTAMP, "the broker's timestamp"),
    Column(
        "revision",
        pl.Int64,
        "0, or the number of the restatement that refined this row again",
        True,
    ),
    Column(
        "disposition", pl.String, "accepted, rejected, duplicate, conflict, absent or lost", True
    ),
    Column("reason_code", pl.String, "why the record was rejected"),
    Column("reason", pl.String, "the same for a person, naming the field and the value's shape"),
    Column("record_type", pl.String, "which of the stream's record types the message is"),
    Column("contract_version", pl.Int32, "version of the contract that judged the row"),
    Column("schema_id", pl.Int32, "Avro writer schema in the registry"),
    Column("reference_version", pl.String, "version of the reference data used by enrichment"),
    Column("event_id", pl.String, "identity of the event"),
    Column("event_time", TIMESTAMP, "when the event happened, by its own clock"),
    Column(
        "event_date",
        pl.Date,
        "UTC date of event_time; of the Kafka timestamp where there is none",
        True,
    ),
    Column("is_late", pl.Boolean, "the event was older at the broker than `late_after`"),
    Column(
        "lateness_seconds", pl.Int64, "Kafka timestamp minus event time, not below 0, in seconds"
    ),
    Column("payload_fingerprint", pl.String, "xxh3-128 of the raw payload, hex"),
)
ENVELOPE_SCHEMA = polars_schema(ENVELOPE_COLUMNS)

IDENTITY_COLUMNS: tuple[Column, ...] = (
    Column("user_id", pl.String, "pseudonym: HMAC-SHA-256 of the normalised id, hex; null if none"),
    Column("user_id_key_id", pl.String, "which key made user_id"),
    Column("user_id_previous", pl.String, "the same id under the previous key, during a rotation"),
    Column("ip_prefix", pl.String, "client network: /24 for IPv4, /48 for IPv6"),
    Column("user_agent", pl.String, "user agent as sent"),
    Column("device_type", pl.String, "desktop, mobile, tablet, ctv, other"),
    Column("os", pl.String, "operating system family"),
    Column("browser", pl.String, "browser family"),
    Column("gdpr_applies", pl.Boolean, "the sender says that the GDPR applies"),
    Column("has_consent", pl.Boolean, "the event may be joined by user"),
    Column("is_givt", pl.Boolean, "general invalid traffic"),
    Column("givt_reason", pl.String, "user_agent, data_centre or non_browser"),
)
"""Who was there, after reduction: shared by bid requests, impressions, clicks and conversions."""
