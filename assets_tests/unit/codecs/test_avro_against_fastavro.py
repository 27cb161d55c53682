"""The columnar decoder against another implementation, and on real requests."""

from __future__ import annotations

import io
import json
import random
import struct
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.openrtb import rebuild_from_columns
from assets_tests.real_data import OPENRTB_REQUESTS, needs_openrtb_requests
from assets_tests.unit.codecs.avro_messages import (  # noqa: F401 - a fixture
    AT,
    BID,
    CONTRACT,
    HEAD,
    NOTICE,
    NULLS,
    OPENRTB,
    Registry,
    decoded,
    rejected,
    requests,
    responses,
    text,
    way,
    zigzag,
)


def parse(name: str) -> Any:
    # Times as numbers, because not every number is a date.
    schema = json.loads(
        avro_schema(name),
        object_hook=lambda entry: {k: v for k, v in entry.items() if k != "logicalType"},
    )
    return fastavro.parse_schema(schema)


PARSED = {1: parse("BidRequest"), 2: parse("BidResponse")}
MIXED = [*requests(OPENRTB, {"id": "q", "cur": ["EUR"]}), *responses({}, {"event_id": "é" * 9})]


def read_with_fastavro(message: bytes) -> dict[str, Any] | None:
    stream = io.BytesIO(message[5:])
    try:
        schema = PARSED[struct.unpack(">I", message[1:5])[0]]
        record = fastavro.schemaless_reader(stream, schema)
    except (EOFError, ValueError, IndexError, OverflowError, TypeError, KeyError):
        return None
    return record if isinstance(record, dict) and stream.tell() == len(message) - 5 else None


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_mutilated_messages_are_never_read_where_fastavro_fails(seed: int) -> None:
    source = random.Random(seed)
    batch: list[bytes | None] = []
    for message in MIXED * 3:
        mutated = bytearray(message)
        place = source.randrange(5, len(mutated))
        match source.randrange(5):
            case 0:
                del mutated[place:]
            case 1:
                mutated[place:place] = source.randbytes(source.randrange(1, 12))
            case 2:
                mutated[place] = source.randrange(256)
            case 3:
                mutated[place:place] = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
        batch.append(bytes(mutated))
    frame = decoded(batch).frame
    for row in frame.select("row", "record_type", "event_id").iter_rows(named=True):
        message = batch[row["row"]]
        assert message is not None
        reference = read_with_fastavro(message)
        assert reference is not None
        assert reference["event_id"] == row["event_id"]


@settings(max_examples=25)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "event_id": st.text(),
                "price_cpm_micros": st.none() | st.integers(-(2**63), 2**63 - 1),
            },
            optional={
                "currency": st.none() | st.text(),
                "no_bid_reason": st.integers(-(2**31), 2**31 - 1),
            },
        ),
        max_size=8,
    )
)
def test_values_come_back_exactly(changes: list[dict[str, Any]]) -> None:
    frame = decoded(list(responses(*changes))).frame
    for change, row in zip(changes, frame.iter_rows(named=True), strict=True):
        expected = {**BID, **change}
        assert {name: row[name] for name in change} == {name: expected[name] for name in change}


@needs_openrtb_requests
def test_every_real_request_survives_the_wire() -> None:
    objects = [json.loads(line) for line in OPENRTB_REQUESTS.read_bytes().splitlines()]
    objects = [each for each in objects if isinstance(each, dict)]
    frame = decoded(list(requests(*objects))).frame
    assert frame.height == len(objects) >= 2775
    rows = frame.iter_rows(named=True)
    assert [
        each for each, row in zip(objects, rows, strict=True) if rebuild_from_columns(row) != each
    ] == []
