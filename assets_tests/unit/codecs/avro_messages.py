"""Avro messages for tests of the decoder, and a registry of few schemas.

Belongs here: messages, sound and in pieces, and what was decoded of them. Does not belong here:
tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from adx_platform.codecs import avro
from adx_platform.codecs.avro import FRAME_SCHEMA, decode_avro
from adx_platform.codecs.encoding import bid_request_record, confluent_frame, encode_avro
from adx_platform.codecs.registry import UnknownSchemaIdError
from adx_platform.codecs.result import DecodedBatch
from adx_platform.contracts.avro_schemas import avro_schema

AT = 1_772_445_600_000_000
BID: dict[str, Any] = {
    "event_id": "e1",
    "exchange_id": "x",
    "responded_at": AT,
    "request_id": "request-with-a-long-id",
    "imp_id": "1",
    "bid_id": "b",
    "price_cpm_micros": -(2**40),
    "currency": "USD",
    "no_bid_reason": -3,
}
NOTICE: dict[str, Any] = {
    "event_id": "n1",
    "exchange_id": "x",
    "noticed_at": AT,
    "request_id": "r",
    "imp_id": "1",
    "bid_id": "b",
    "notice_type": "win",
}
OPENRTB: dict[str, Any] = {
    "id": "r",
    "at": 1,
    "test": 1,
    "imp": [
        {
            "id": "1",
            "banner": {"format": [{"w": 300, "h": 250}, {}], "api": [3, 5]},
            "ext": {"a": 1},
        },
        {"id": "2", "bidfloor": 0.5, "video": {"mimes": ["vidéo/mp4"]}},
    ],
    "device": {"ua": "Mozilla/5.0 (longer than twelve bytes)", "geo": {"lat": -1.5, "lon": 2}},
}


class Registry:
    """Schemas by id, from 1."""

    def __init__(self, *schemas: str) -> None:
        self.texts = list(schemas)

    def schema(self, schema_id: int) -> str:
        if not 1 <= schema_id <= len(self.texts):
            raise UnknownSchemaIdError(schema_id)
        return self.texts[schema_id - 1]

    def register(self, subject: str, schema_json: str) -> int:
        self.texts.append(schema_json)
        return len(self.texts)

    def subjects(self) -> list[str]:
        return []


CONTRACT = Registry(
    avro_schema("BidRequest"), avro_schema("BidResponse"), avro_schema("BidNotice", 2)
)


def requests(*objects: dict[str, Any]) -> list[bytes]:
    records = [
        bid_request_record(each, exchange_id="x", event_id=str(number), received_at_us=AT + number)
        for number, each in enumerate(objects)
    ]
    return encode_avro("BidRequest", records, 1)


def responses(*changes: dict[str, Any]) -> list[bytes]:
    return encode_avro("BidResponse", [{**BID, **change} for change in changes], 2)


def decoded(messages: list[bytes | None], registry: Registry = CONTRACT) -> DecodedBatch:
    batch = decode_avro(pl.Series(messages, dtype=pl.Binary), registry)
    assert batch.frame.schema == FRAME_SCHEMA
    rows = [*batch.frame["row"].to_list(), *batch.rejects["row"].to_list()]
    assert sorted(rows) == list(range(len(messages)))
    return replace(batch, frame=batch.frame.sort("row"))


def rejected(messages: list[bytes | None], registry: Registry = CONTRACT) -> list[tuple[Any, ...]]:
    return decoded(messages, registry).rejects.select("row", "reason_code", "reason").rows()


@pytest.fixture(params=["together", "singly"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of reading have to give the same answers."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "singly":
            patch.setattr(avro, "LARGE_BODY", -1)
        yield


def zigzag(number: int) -> bytes:
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def text(value: str) -> bytes:
    return zigzag(len(value.encode())) + value.encode()


HEAD = confluent_frame(2) + text("e") + text("x") + zigzag(AT) + text("r") + text("1")
NULLS = zigzag(0) * 9
GOOD = [*requests(OPENRTB), *responses({"event_id": "a"})]
