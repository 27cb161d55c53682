"""The three streams as data: name, wire format, record types, columns, contract version.

Belongs here: the registry of streams that every upper floor loops over. Does not belong here: the
columns themselves (one module per stream), or what is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from adx_platform.contracts import ad_impressions, bid_requests, clicks_conversions
from adx_platform.contracts.columns import Column, polars_schema, required_names
from adx_platform.contracts.envelope import ENVELOPE_COLUMNS, IDENTITY_COLUMNS
from adx_platform.contracts.openrtb import OPENRTB_COLUMNS


class Wire(StrEnum):
    """How a message's bytes are written."""

    AVRO = "avro"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class RecordContract:
    """What an accepted row of one record type must fill."""

    record_type: str
    required: tuple[str, ...]
    """Columns that are never null in an accepted row, besides the envelope's."""


@dataclass(frozen=True)
class Stream:
    """One topic and its contract.

    ``contract_version`` is stored with every row that this contract judged: raise it with any
    change of the columns, the rules or the reader schemas.
    """

    name: str
    wire: Wire
    contract_version: int
    columns: tuple[Column, ...]
    """The stream's own columns, after the envelope's, in table order."""
    records: tuple[RecordContract, ...]
    events_schema: pl.Schema = field(init=False, compare=False)
    """Polars schema of the refined table: envelope, then ``columns``."""

    def __post_init__(self) -> None:
        schema = polars_schema((*ENVELOPE_COLUMNS, *self.columns))
        object.__setattr__(self, "events_schema", schema)

    @property
    def topic(self) -> str:
        """The Kafka topic: it has the stream's name."""
        return self.name

    @property
    def record_types(self) -> tuple[str, ...]:
        """Names of the record types, in the contract's order."""
        return tuple(record.record_type for record in self.records)

    def record(self, record_type: str) -> RecordContract:
        """The contract of one record type.

        Raises:
            ValueError: the stream has no such record type.
        """
        for record in self.records:
            if record.record_type == record_type:
                return record
        raise ValueError(
            f"stream {self.name!r} has no record type {record_type!r}; "
            f"it has {', '.join(self.record_types)}"
        )


_AUCTION = required_names(bid_requests.AUCTION_COLUMNS)
_BID = required_names(bid_requests.BID_COLUMNS)

BID_REQUESTS = Stream(
    name="bid_requests",
    wire=Wire.AVRO,
    contract_version=2,
    columns=(
        *bid_requests.AUCTION_COLUMNS,
        *bid_requests.BID_REQUEST_COLUMNS,
        *bid_requests.BID_COLUMNS,
        *bid_requests.BID_RESPONSE_COLUMNS,
        *bid_requests.BID_NOTICE_COLUMNS,
        *IDENTITY_COLUMNS,
        *OPENRTB_COLUMNS,
    ),
    records=(
        RecordContract("bid_request", (*_AUCTION, "imp_count", "imps")),
        RecordContract("bid_response", (*_AUCTION, *_BID)),
        RecordContract("bid_notice", (*_AUCTION, *_BID, "bid_id", "notice_type")),
    ),
)

AD_IMPRESSIONS = Stream(
    name="ad_impressions",
    wire=Wire.JSON,
    contract_version=1,
    columns=(*ad_impressions.AD_IMPRESSION_COLUMNS, *IDENTITY_COLUMNS),
    records=(
        RecordContract("ad_impression", required_names(ad_impressions.AD_IMPRESSION_COLUMNS)),
    ),
)

_CLICK_CONVERSION = required_names(clicks_conversions.CLICK_CONVERSION_COLUMNS)

CLICKS_CONVERSIONS = Stream(
    name="clicks_conversions",
    wire=Wire.CSV,
    contract_version=2,
    columns=(*clicks_conversions.CLICK_CONVERSION_COLUMNS, *IDENTITY_COLUMNS),
    records=(
        RecordContract("click", (*_CLICK_CONVERSION, "click_id", "impression_id", "campaign_id")),
        RecordContract("conversion", (*_CLICK_CONVERSION, "order_id", "conversion_type")),
    ),
)

STREAMS: dict[str, Stream] = {
    stream.name: stream for stream in (BID_REQUESTS, AD_IMPRESSIONS, CLICKS_CONVERSIONS)
}
"""Every stream, by name."""


def stream_named(name: str) -> Stream:
    """The stream called ``name``.

    Raises:
        ValueError: there is no such stream; the message lists those that exist.
    """
    stream = STREAMS.get(name)
    if stream is None:
        raise ValueError(f"no stream {name!r}; choose one of {', '.join(STREAMS)}")
    return stream
