"""The ways in which a message can be broken, each with the reason it must be rejected for.

Belongs here: one small function per kind. A kind gets the good message and gives the broken one, so
that a broken message looks like what real producers send. Does not belong here: when it happens
(``sender``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from adx_platform.codecs.framing import confluent_frame, csv_line
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION, VERSION_HEADER
from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.simulate.encoding import (
    Encoded,
    EventEncoder,
    csv_cells,
    impression_object,
)
from adx_platform.simulate.events import AD_IMPRESSIONS, BID_REQUESTS, TOPIC_OF, Event

UNREGISTERED_SCHEMA_ID = 2_147_000_001
"""No registry gives ids near the end of the range."""

FRAME_BYTES = 5
DEEP_NESTING = 5_000
_HUGE_LENGTH = b"\xfe\xff\xff\xff\x0f"
"""Avro: a length of two gigabytes."""


@dataclass(frozen=True, slots=True)
class Good:
    """A good message and how it came to be."""

    event: Event
    version: int
    encoded: Encoded
    encoder: EventEncoder

    @property
    def value(self) -> bytes:
        """The good bytes."""
        if self.encoded.value is None:
            raise ValueError("a tombstone cannot be broken further")
        return self.encoded.value


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken message."""

    kind: str
    reason: ReasonCode
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to break a message; ``only`` limits it to record types."""

    name: str
    reason: ReasonCode
    make: Callable[[Good], bytes | Encoded | None]
    only: tuple[str, ...] = ()


class Breaker:
    """Breaks messages, each kind equally often among those that fit the message."""

    def __init__(self, encoder: EventEncoder, rng: Random) -> None:
        self._encoder = encoder
        self._rng = rng
        self._by_record_type = {
            record_type: [
                kind
                for kind in (*ANY_KINDS, *KINDS_OF_TOPIC[topic])
                if not kind.only or record_type in kind.only
            ]
            for record_type, topic in TOPIC_OF.items()
        }

    def break_message(self, event: Event, version: int, encoded: Encoded) -> Broken:
        """A broken version of a good message."""
        kind = self._rng.choice(self._by_record_type[event.record_type])
        made = kind.make(Good(event, version, encoded, self._encoder))
        if not isinstance(made, Encoded):
            made = Encoded(made, encoded.headers)
        return Broken(kind.name, kind.reason, made)


def _json_with(**changes: object) -> Callable[[Good], bytes]:
    def make(good: Good) -> bytes:
        return _json_bytes({**impression_object(good.event, good.version), **changes})

    return make


def _json_without(name: str) -> Callable[[Good], bytes]:
    def make(good: Good) -> bytes:
        message = impression_object(good.event, good.version)
        del message[name]
        return _json_bytes(message)

    return make


def _json_bytes(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _json_bad_utf8(good: Good) -> bytes:
    return good.value.replace(b'"geo":', b'"note":"caf\xe9","geo":', 1)


def _json_duplicate_key(good: Good) -> bytes:
    return good.value.replace(b"{", b'{"event_id":"other",', 1)


def _json_deep(good: Good) -> bytes:
    nested = b"[" * DEEP_NESTING + b"]" * DEEP_NESTING
    return good.value[:-1] + b',"debug":' + nested + b"}"


def _csv_with(**changes: str) -> Callable[[Good], bytes]:
    def make(good: Good) -> bytes:
        return _csv_bytes({**_csv_texts(good), **changes})

    return make


def _csv_texts(good: Good) -> dict[str, str]:
    cells = csv_cells(good.event, good.version)
    texts = {}
    for name, value in cells.items():
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        else:
            texts[name] = "" if value is None else str(value)
    return texts


def _csv_bytes(cells: dict[str, str]) -> bytes:
    return csv_line(list(cells.values()))


def _csv_version_disagrees(good: Good) -> Encoded:
    other = 1 if good.version > 1 else max(CSV_COLUMNS_BY_VERSION)
    return Encoded(good.value, ((VERSION_HEADER, str(other).encode()),))


def _csv_text_after_quote(good: Good) -> bytes:
    cells = [cell.decode() for cell in good.value.split(b",", 2)]
    return f'{cells[0]},"{cells[1]}"x,{cells[2]}'.encode()


def _csv_bad_utf8(good: Good) -> bytes:
    return good.value.replace(b",", b"\xff\xfe,", 1)


def _avro_with(**changes: object) -> Callable[[Good], bytes]:
    """The record with other values."""

    def make(good: Good) -> bytes:
        event, encoder = good.event, good.encoder
        record = {**encoder.avro_record(event), **changes}
        return encoder.frame(event.record_type, good.version) + encoder.encode_record(
            event.record_type, record, good.version
        )

    return make


def _avro_body(make: Callable[[bytes], bytes]) -> Callable[[Good], bytes]:
    """The same frame with another body."""

    def apply(good: Good) -> bytes:
        return good.value[:FRAME_BYTES] + make(good.value[FRAME_BYTES:])

    return apply


ANY_KINDS: tuple[Kind, ...] = (
    Kind("tombstone", ReasonCode.TOMBSTONE, lambda _: None),
    Kind("empty", ReasonCode.EMPTY_MESSAGE, lambda _: b""),
)

JSON_KINDS: tuple[Kind, ...] = (
    Kind("json_truncated", ReasonCode.MALFORMED_JSON, lambda g: g.value[: len(g.value) * 2 // 3]),
    Kind("json_bad_utf8", ReasonCode.INVALID_ENCODING, _json_bad_utf8),
    Kind("json_array", ReasonCode.NOT_AN_OBJECT, lambda g: b"[" + g.value + b"]"),
    Kind("json_scalar", ReasonCode.NOT_AN_OBJECT, lambda _: b'"ping"'),
    Kind("json_html", ReasonCode.MALFORMED_JSON, lambda _: b"<html>502 Bad Gateway</html>"),
    Kind("json_two_documents", ReasonCode.MALFORMED_JSON, lambda g: g.value + g.value),
    Kind("json_nan", ReasonCode.MALFORMED_JSON, _json_with(pixels_in_view_pct=float("nan"))),
    Kind("json_deep", ReasonCode.TOO_DEEP, _json_deep),
    Kind("json_duplicate_key", ReasonCode.DUPLICATE_KEY, _json_duplicate_key),
    Kind("json_ts_as_text", ReasonCode.WRONG_TYPE, _json_with(ts="2026-03-02T10:00:00Z")),
    Kind("json_fractional_integer", ReasonCode.WRONG_TYPE, _json_with(time_in_view_ms=1.5)),
    Kind("json_number_as_id", ReasonCode.WRONG_TYPE, _json_with(campaign_id=17)),
    Kind("json_missing_field", ReasonCode.MISSING_FIELD, _json_without("campaign_id")),
    Kind("json_null_field", ReasonCode.MISSING_FIELD, _json_with(event_id=None)),
    Kind("json_unknown_event_type", ReasonCode.INVALID_VALUE, _json_with(event_type="hovered")),
    Kind("json_out_of_range", ReasonCode.INVALID_VALUE, _json_with(pixels_in_view_pct=250)),
)

CSV_KINDS: tuple[Kind, ...] = (
    Kind("csv_open_quote", ReasonCode.MALFORMED_CSV, lambda g: b'"' + g.value.replace(b'"', b"")),
    Kind("csv_text_after_quote", ReasonCode.MALFORMED_CSV, _csv_text_after_quote),
    Kind("csv_too_few", ReasonCode.WRONG_COLUMN_COUNT, lambda g: g.value.rpartition(b",")[0]),
    Kind("csv_too_many", ReasonCode.WRONG_COLUMN_COUNT, lambda g: g.value + b",,,"),
    Kind("csv_version_disagrees", ReasonCode.WRONG_COLUMN_COUNT, _csv_version_disagrees),
    Kind("csv_bad_utf8", ReasonCode.INVALID_ENCODING, _csv_bad_utf8),
    Kind("csv_bad_time", ReasonCode.WRONG_TYPE, _csv_with(ts="02/03/2026 10:00")),
    Kind("csv_bad_boolean", ReasonCode.WRONG_TYPE, _csv_with(gdpr_applies="yes")),
    Kind("csv_bad_number", ReasonCode.WRONG_TYPE, _csv_with(value="12,50")),
    Kind("csv_unknown_event_type", ReasonCode.UNKNOWN_RECORD_TYPE, _csv_with(event_type="install")),
    Kind("csv_no_event_id", ReasonCode.MISSING_FIELD, _csv_with(event_id="")),
    Kind("csv_no_click_id", ReasonCode.MISSING_FIELD, _csv_with(click_id=""), ("click",)),
    Kind("csv_no_order_id", ReasonCode.MISSING_FIELD, _csv_with(order_id=""), ("conversion",)),
    Kind(
        "csv_bad_currency",
        ReasonCode.INVALID_VALUE,
        _csv_with(value="1.00", currency="EURO"),
        ("conversion",),
    ),
)

AVRO_KINDS: tuple[Kind, ...] = (
    Kind("avro_bad_magic", ReasonCode.BAD_MAGIC, lambda g: b"\x07" + g.value[1:]),
    Kind("avro_short", ReasonCode.BAD_MAGIC, lambda g: g.value[:3]),
    Kind(
        "avro_unknown_schema",
        ReasonCode.UNKNOWN_SCHEMA_ID,
        lambda g: confluent_frame(UNREGISTERED_SCHEMA_ID) + g.value[FRAME_BYTES:],
    ),
    Kind(
        "avro_truncated",
        ReasonCode.MALFORMED_AVRO,
        _avro_body(lambda body: body[: len(body) * 2 // 3]),
    ),
    Kind(
        "avro_trailing_bytes",
        ReasonCode.TRAILING_BYTES,
        _avro_body(lambda body: body + b"\x00\x00"),
    ),
    Kind("avro_garbage", ReasonCode.MALFORMED_AVRO, _avro_body(lambda body: b"\xff" * len(body))),
    Kind(
        "avro_negative_length",
        ReasonCode.MALFORMED_AVRO,
        _avro_body(lambda body: b"\x01" + body[1:]),
    ),
    Kind(
        "avro_huge_length", ReasonCode.MALFORMED_AVRO, _avro_body(lambda body: _HUGE_LENGTH + body)
    ),
    Kind("avro_empty_event_id", ReasonCode.MISSING_FIELD, _avro_with(event_id="")),
    Kind(
        "avro_no_decision",
        ReasonCode.INVALID_VALUE,
        _avro_with(bid_id=None, no_bid_reason=None),
        ("bid_response",),
    ),
    Kind(
        "avro_unknown_notice",
        ReasonCode.INVALID_VALUE,
        _avro_with(notice_type="refund"),
        ("bid_notice",),
    ),
    Kind(
        "avro_negative_price",
        ReasonCode.INVALID_VALUE,
        _avro_with(price_cpm_micros=-1, currency="USD"),
        ("bid_notice",),
    ),
)

KINDS_OF_TOPIC: dict[str, tuple[Kind, ...]] = {
    BID_REQUESTS: AVRO_KINDS,
    AD_IMPRESSIONS: JSON_KINDS,
    "clicks_conversions": CSV_KINDS,
}
