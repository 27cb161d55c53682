"""The warehouse tables that the loader writes and dbt reads: the one place that defines them.

Belongs here: names, columns and DDL of the schemas ``raw``, ``control`` and ``reference``, derived
from the contracts. Does not belong here: the models that dbt builds from them, or running SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from adx_platform.contracts.ad_impressions import AD_IMPRESSION_COLUMNS
from adx_platform.contracts.bid_requests import (
    AUCTION_COLUMNS,
    BID_COLUMNS,
    BID_NOTICE_COLUMNS,
    BID_REQUEST_COLUMNS,
    BID_RESPONSE_COLUMNS,
    IMP_STRUCT,
)
from adx_platform.contracts.clicks_conversions import CLICK_CONVERSION_COLUMNS
from adx_platform.contracts.columns import TIMESTAMP, Column, polars_schema
from adx_platform.contracts.envelope import ENVELOPE_COLUMNS, IDENTITY_COLUMNS
from adx_platform.reference.schemas import REFERENCE_TABLES
from adx_platform.warehouse.types import Dialect, sql_type

SchemaName = Literal["raw", "control", "reference"]

RENAMED: dict[str, str] = {"partition": "partition_id", "offset": "kafka_offset"}
"""Envelope columns whose names are reserved words on some engine."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: where it is, and its columns with their polars types."""

    schema: SchemaName
    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def qualified_name(self) -> str:
        """``schema.name``, as SQL writes it."""
        return f"{self.schema}.{self.name}"

    @property
    def frame_schema(self) -> pl.Schema:
        """Schema of a frame that may be inserted."""
        return polars_schema(self.columns)

    def ddl(self, dialect: Dialect) -> str:
        """The ``CREATE TABLE IF NOT EXISTS`` statement in ``dialect``."""
        body = ", ".join(f"{c.name} {sql_type(c, dialect)}" for c in self.columns)
        return f"CREATE TABLE IF NOT EXISTS {self.qualified_name} ({body})"


_ENVELOPE = {
    RENAMED.get(column.name, column.name): Column(
        RENAMED.get(column.name, column.name), column.dtype, column.description, column.required
    )
    for column in ENVELOPE_COLUMNS
}
_LOAD_ID = Column("load_id", pl.Int64, "the load that wrote this row (control.loads)", True)
_STREAM = Column("stream", pl.String, "name of the stream", True)


def _envelope(*names: str) -> tuple[Column, ...]:
    return tuple(_ENVELOPE[name] for name in names)


EVENT_HEAD: tuple[Column, ...] = (
    *_envelope(
        "topic_id",
        "partition_id",
        "kafka_offset",
        "kafka_timestamp",
        "revision",
        "disposition",
        "record_type",
        "contract_version",
        "event_id",
        "event_time",
        "event_date",
        "is_late",
        "lateness_seconds",
        "payload_fingerprint",
    ),
    _LOAD_ID,
)
"""The first columns of every event table."""

IMPS_COLUMN = next(c for c in BID_REQUEST_COLUMNS if c.name == "imps")
"""The one nested column that the warehouse uses: unfolded into ``raw.bid_request_imps``."""

_REQUEST_COLUMNS = tuple(c for c in BID_REQUEST_COLUMNS if c is not IMPS_COLUMN)
IMP_COLUMNS: tuple[Column, ...] = tuple(
    Column(name, dtype, f"{name} of the offered impression")
    for name, dtype in pl.Schema(IMP_STRUCT).items()
)

BID_REQUESTS = Table(
    "raw",
    "bid_requests",
    "bid requests as received, duplicates included",
    (*EVENT_HEAD, *AUCTION_COLUMNS, *_REQUEST_COLUMNS, *IDENTITY_COLUMNS),
)
BID_REQUEST_IMPS = Table(
    "raw",
    "bid_request_imps",
    "one row per impression offered by a row of raw.bid_requests",
    (
        *_envelope(
            "topic_id", "partition_id", "kafka_offset", "event_id", "event_time", "event_date"
        ),
        _LOAD_ID,
        *AUCTION_COLUMNS,
        Column("imp_index", pl.Int32, "position in the request, from 0", True),
        *IMP_COLUMNS,
    ),
)
BID_RESPONSES = Table(
    "raw",
    "bid_responses",
    "our bids and no-bids, duplicates included",
    (*EVENT_HEAD, *AUCTION_COLUMNS, *BID_COLUMNS, *BID_RESPONSE_COLUMNS),
)
BID_NOTICES = Table(
    "raw",
    "bid_notices",
    "win, billing and loss notices, duplicates included",
    (*EVENT_HEAD, *AUCTION_COLUMNS, *BID_COLUMNS, *BID_NOTICE_COLUMNS),
)
AD_IMPRESSIONS = Table(
    "raw",
    "ad_impressions",
    "rendered, measurable and viewable events, duplicates included",
    (*EVENT_HEAD, *AD_IMPRESSION_COLUMNS, *IDENTITY_COLUMNS),
)
CLICKS = Table(
    "raw",
    "clicks",
    "clicks, duplicates included",
    (*EVENT_HEAD, *CLICK_CONVERSION_COLUMNS, *IDENTITY_COLUMNS),
)
CONVERSIONS = Table(
    "raw",
    "conversions",
    "conversions, duplicates included",
    (*EVENT_HEAD, *CLICK_CONVERSION_COLUMNS, *IDENTITY_COLUMNS),
)
REJECTS = Table(
    "raw",
    "rejects",
    "rejected records with their reasons",
    (
        _STREAM,
        *_envelope(
            "topic_id",
            "partition_id",
            "kafka_offset",
            "kafka_timestamp",
            "revision",
            "record_type",
            "contract_version",
            "reason_code",
            "reason",
            "event_id",
            "event_time",
            "event_date",
        ),
        _LOAD_ID,
    ),
)
GAPS = Table(
    "raw",
    "gaps",
    "runs of offsets without a message",
    (
        _STREAM,
        *_envelope("topic_id", "partition_id", "kafka_offset"),
        Column("gap_kind", pl.String, "absent or lost", True),
        Column("gap_length", pl.Int64, "how many consecutive offsets the row stands for", True),
        *_envelope("kafka_timestamp"),
        _LOAD_ID,
    ),
)

RECORD_TABLES: dict[str, dict[str, Table]] = {
    "bid_requests": {
        "bid_request": BID_REQUESTS,
        "bid_response": BID_RESPONSES,
        "bid_notice": BID_NOTICES,
    },
    "ad_impressions": {"ad_impression": AD_IMPRESSIONS},
    "clicks_conversions": {"click": CLICKS, "conversion": CONVERSIONS},
}
"""Stream -> record type -> the table of its accepted, duplicate and conflict rows."""

STREAM_TABLES: dict[str, tuple[Table, ...]] = {
    "bid_requests": (BID_REQUESTS, BID_REQUEST_IMPS, BID_RESPONSES, BID_NOTICES),
    "ad_impressions": (AD_IMPRESSIONS,),
    "clicks_conversions": (CLICKS, CONVERSIONS),
}
"""Raw tables that hold only one stream's events; ``rejects`` and ``gaps`` hold every stream's."""

SHARED_RAW_TABLES: tuple[Table, ...] = (REJECTS, GAPS)
RAW_TABLES: tuple[Table, ...] = (
    *(table for tables in STREAM_TABLES.values() for table in tables),
    *SHARED_RAW_TABLES,
)

CURSORS = Table(
    "control",
    "cursors",
    "how far each partition is loaded",
    (
        _STREAM,
        *_envelope("topic_id", "partition_id"),
        Column("next_offset", pl.Int64, "first offset that is not loaded", True),
        Column("load_id", pl.Int64, "the load that moved the cursor last", True),
    ),
)
LOADS = Table(
    "control",
    "loads",
    "one row per committed load",
    (
        _LOAD_ID,
        _STREAM,
        Column("lake_version", pl.Int64, "version of events/<stream> that was read", True),
        Column("loaded_at", TIMESTAMP, "when the load was written", True),
        Column("row_count", pl.Int64, "rows written to the raw tables", True),
    ),
)
LOAD_RANGES = Table(
    "control",
    "load_ranges",
    "which offsets a load brought (forward) or replaced (restatement)",
    (
        _LOAD_ID,
        _STREAM,
        *_envelope("topic_id", "partition_id"),
        Column("start_offset", pl.Int64, "first offset of the range", True),
        Column("end_offset", pl.Int64, "first offset after the range", True),
        Column("kind", pl.String, "forward or restatement", True),
        Column("revision", pl.Int64, "0, or the restatement that the load satisfied", True),
    ),
)
REMOVED_ROWS = Table(
    "control",
    "removed_rows",
    "keys of raw rows that a restatement took out: what they touched must be rebuilt",
    (
        _LOAD_ID,
        Column("table_name", pl.String, "raw table the row was in", True),
        Column("event_id", pl.String, "key of the removed row, where its table has one"),
        Column("event_date", pl.Date, "UTC date of the removed row"),
        *(
            Column(name, pl.String, "key of the removed row, where its table has one")
            for name in (
                "exchange_id",
                "request_id",
                "imp_id",
                "bid_id",
                "impression_id",
                "click_id",
                "user_id",
                "advertiser_id",
            )
        ),
    ),
)
BUILDS = Table(
    "control",
    "builds",
    "full green dbt builds",
    (
        Column("build_id", pl.String, "identity of the build", True),
        Column("to_load_id", pl.Int64, "the build includes every load up to this one", True),
        Column("completed_at", TIMESTAMP, "when the build was found green", True),
    ),
)
REFERENCE_LOADS = Table(
    "control",
    "reference_loads",
    "which version of each reference table is loaded",
    (
        Column("table_name", pl.String, "reference table", True),
        Column("version", pl.String, "content hash of what was loaded", True),
        Column("loaded_at", TIMESTAMP, "when it was written", True),
        Column("row_count", pl.Int64, "rows of the table", True),
    ),
)
RETENTION = Table(
    "control",
    "retention",
    "which days of each table have lost rows to its retention",
    (
        Column("table_name", pl.String, "table, with its schema", True),
        Column("kept_from", pl.Date, "no day from here on has lost a row", True),
        Column("rows_removed", pl.Int64, "rows that were removed since the first time", True),
        Column("applied_at", TIMESTAMP, "when rows were removed last", True),
    ),
)
EXPIRED_OFFSETS = Table(
    "control",
    "expired_offsets",
    "runs of offsets whose raw rows are past the retention of their table",
    (
        _STREAM,
        *_envelope("topic_id", "partition_id"),
        Column("start_offset", pl.Int64, "first offset of the run", True),
        Column("end_offset", pl.Int64, "first offset after the run", True),
        Column("disposition", pl.String, "accepted, rejected, duplicate or conflict", True),
        *_envelope("event_date"),
    ),
)
"""What stands for removed rows in the conservation equation, as a gap row does for no message."""

CONTROL_TABLES: tuple[Table, ...] = (
    CURSORS,
    LOADS,
    LOAD_RANGES,
    REMOVED_ROWS,
    BUILDS,
    REFERENCE_LOADS,
    RETENTION,
    EXPIRED_OFFSETS,
)

ATTRIBUTION_WEIGHTS = Table(
    "reference",
    "attribution_weights",
    "what a campaign is worth to the data-driven models: trained, not from a file",
    (
        Column("advertiser_id", pl.String, "whose conversions the weights divide", True),
        Column("model", pl.String, "markov or shapley", True),
        Column("window_start", pl.Date, "first UTC date of the training window", True),
        Column("window_end", pl.Date, "first UTC date after the training window", True),
        Column("version", pl.String, "when it was trained, as sortable text", True),
        Column("campaign_id", pl.String, "campaign", True),
        Column("weight", pl.Int64, "its part of the whole, in billionths", True),
        Column("trained_at", TIMESTAMP, "when it was trained", True),
    ),
)
"""All versions are kept; the marts use the newest of each window."""

REFERENCE_WAREHOUSE_TABLES: tuple[Table, ...] = (
    *(
        Table("reference", table.name, table.description, table.columns)
        for table in REFERENCE_TABLES
    ),
    ATTRIBUTION_WEIGHTS,
)

ALL_TABLES: tuple[Table, ...] = (*RAW_TABLES, *CONTROL_TABLES, *REFERENCE_WAREHOUSE_TABLES)


def tables_of_stream(stream: str) -> tuple[Table, ...]:
    """Every raw table into which rows of ``stream`` may go.

    Raises:
        KeyError: no such stream; the message lists those that exist.
    """
    if stream not in STREAM_TABLES:
        raise KeyError(f"no stream {stream!r}: known are {', '.join(sorted(STREAM_TABLES))}")
    return (*STREAM_TABLES[stream], *SHARED_RAW_TABLES)


def schema_statements(dialect: Dialect, tables: Iterable[Table] = ALL_TABLES) -> list[str]:
    """Statements that create the schemas and ``tables`` where they do not exist yet."""
    chosen = tuple(tables)
    schemas = sorted({table.schema for table in chosen})
    return [
        *(f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in schemas),
        *(table.ddl(dialect) for table in chosen),
    ]
