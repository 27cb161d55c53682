"""Events as message bytes in the three wire formats, in the contract version of their producer.

Belongs here: which wire fields an event has and which version its producer speaks. Does not belong
here: the formats themselves (``codecs.framing``, ``avro_fragments``), or broken messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from adx_platform.codecs.framing import (
    confluent_frame,
    encode_click_conversion,
    encode_impression,
)
from adx_platform.contracts.avro_schemas import avro_schema, subject_of
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION, VERSION_HEADER
from adx_platform.simulate import behaviour
from adx_platform.simulate.avro_fragments import RecordEncoder
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.events import Event
from adx_platform.simulate.randomness import stable_share

Header = tuple[str, bytes]

_RECORDS = {
    "bid_request": ("BidRequest", "received_at"),
    "bid_response": ("BidResponse", "responded_at"),
    "bid_notice": ("BidNotice", "noticed_at"),
}
_IMPRESSION_FIELDS = (
    "impression_id",
    "exchange_id",
    "request_id",
    "imp_id",
    "bid_id",
    "campaign_id",
    "creative_id",
    "advertiser_id",
    "publisher_id",
    "site_domain",
    "app_bundle",
    "placement_id",
    "user_id",
    "ip",
    "user_agent",
    "pixels_in_view_pct",
    "time_in_view_ms",
    "gdpr_applies",
    "consent",
)
_NEWER_VERSION_FIELDS = {"bid_notice": "deal_id", "click": "landing_page"}
_HEADER_SHARE = 0.3


class SchemaRegistrar(Protocol):
    """The part of a schema registry that a producer needs."""

    def register(self, subject: str, schema_json: str) -> int:
        """The id under which consumers find the schema."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message's bytes and headers."""

    value: bytes | None
    headers: tuple[Header, ...] | None


class EventEncoder:
    """Encodes events; registers the schemas of the bid_requests stream when it is made."""

    def __init__(
        self, config: MarketConfig, registry: SchemaRegistrar, requests: RecordEncoder
    ) -> None:
        self._encoders: dict[tuple[str, int], RecordEncoder] = {("bid_request", 1): requests}
        self._frames: dict[tuple[str, int], bytes] = {}
        for record_type, version in (
            ("bid_request", 1),
            ("bid_response", 1),
            ("bid_notice", 1),
            ("bid_notice", 2),
        ):
            name = _RECORDS[record_type][0]
            schema = avro_schema(name, version)
            self._frames[record_type, version] = confluent_frame(
                registry.register(subject_of(name), schema)
            )
            self._encoders.setdefault((record_type, version), RecordEncoder.of(schema))
        self._evolved_share = config.faults.evolved_producers
        start_us = int(config.start.timestamp()) * behaviour.SECOND_US
        span_us = config.days * behaviour.DAY_US
        self._evolves_us = start_us + int(span_us * config.faults.evolved_from)

    def is_evolved(self, event: Event) -> bool:
        """Whether the event's producer speaks a newer contract by then."""
        return (
            event.time_us >= self._evolves_us
            and event.record_type not in {"bid_request", "bid_response"}
            and stable_share(event.producer) < self._evolved_share
        )

    def settle_version(self, event: Event) -> int:
        """The contract version of the event; takes out what an older version cannot say."""
        version = 2 if self.is_evolved(event) else 1
        newer = _NEWER_VERSION_FIELDS.get(event.record_type)
        if newer is not None and version == 1:
            event.fields[newer] = None
        return version

    def encode(self, event: Event, version: int) -> Encoded:
        """The message of ``event``; ``version`` comes from :meth:`settle_version`."""
        if event.record_type in _RECORDS:
            return Encoded(
                self.frame(event.record_type, version)
                + self.encode_record(event.record_type, self.avro_record(event), version),
                None,
            )
        if event.record_type == "ad_impression":
            return Encoded(encode_impression(impression_object(event, version)), None)
        headers: tuple[Header, ...] | None = None
        if version > 1 or stable_share(f"{event.producer}/header") < _HEADER_SHARE:
            headers = ((VERSION_HEADER, str(version).encode()),)
        return Encoded(encode_click_conversion(csv_cells(event, version), version), headers)

    def frame(self, record_type: str, version: int) -> bytes:
        """The five bytes before the Avro body."""
        return self._frames[record_type, version]

    def encode_record(self, record_type: str, record: dict[str, Any], version: int) -> bytes:
        """The Avro body of a record."""
        return self._encoders[record_type, version](record)

    def avro_record(self, event: Event) -> dict[str, Any]:
        """The Avro values of a bid_requests event."""
        content = event.fields if event.openrtb is None else event.openrtb
        return {
            "event_id": event.event_id,
            "exchange_id": event.fields["exchange_id"],
            _RECORDS[event.record_type][1]: event.time_us,
            **content,
        }


def impression_object(event: Event, version: int) -> dict[str, Any]:
    """The JSON object of an impression event; newer senders add fields that nobody agreed on."""
    fields = event.fields
    message: dict[str, Any] = {
        "event_type": fields["event_type"],
        "event_id": event.event_id,
        "ts": event.time_us,
    }
    for name in _IMPRESSION_FIELDS:
        value = fields.get(name)
        if value is not None:
            message[name] = value
    message["device"] = {"device_type": fields["device_type"], "os": fields["os"]}
    message["geo"] = {"country": fields["geo_country"], "region": fields["geo_region"]}
    if version > 1:
        message["sdk_version"] = "5.1.0"
        message["render"] = {"path": "safeframe", "attempts": 1}
    return message


def csv_cells(event: Event, version: int) -> dict[str, Any]:
    """The CSV cells of a click or conversion."""
    fields = event.fields
    cells = {name: fields.get(name) for name in CSV_COLUMNS_BY_VERSION[version]}
    cells["event_type"] = event.record_type
    cells["event_id"] = event.event_id
    cells["ts"] = str(event.time_us)
    value = fields.get("value_micros")
    cells["value"] = None if value is None else decimal_text(value)
    return cells


def decimal_text(micros: int) -> str:
    """Micros as a decimal with at least two places, exactly."""
    whole, fraction = divmod(micros, behaviour.MICROS)
    return f"{whole}.{f'{fraction:06d}'.rstrip('0').ljust(2, '0')}"
