from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.openrtb import BID_REQUEST, EXTENSION_FIELD, rebuild, shred
from adx_platform.simulate.avro_fragments import RecordEncoder, encode_long, encode_string

SCHEMA = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "price", "type": ["null", "double"], "default": None},
        {"name": "tags", "type": ["null", {"type": "array", "items": "string"}], "default": None},
        {
            "name": "part",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Part",
                    "fields": [{"name": "n", "type": ["null", "int"], "default": None}],
                },
            ],
            "default": None,
        },
    ],
}
THINGS = st.fixed_dictionaries(
    {
        "id": st.text(st.characters(exclude_categories=("Cs",))),
        "at": st.integers(-(2**62), 2**62),
        "price": st.none() | st.floats(allow_nan=False),
        "tags": st.none() | st.lists(st.text(alphabet="abcü", max_size=80), max_size=3),
        "part": st.none()
        | st.fixed_dictionaries({"n": st.none() | st.integers(-(2**31), 2**31 - 1)}),
    }
)


def _written(schema: object, record: object) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), record)
    return buffer.getvalue()


@given(THINGS)
def test_bytes_are_those_of_the_reference_writer(thing: dict[str, Any]) -> None:
    assert RecordEncoder(SCHEMA)(thing) == _written(SCHEMA, thing)


@given(THINGS)
def test_parts_encoded_before_give_the_same_bytes(thing: dict[str, Any]) -> None:
    encoder = RecordEncoder(SCHEMA)
    parts = {name: encoder.member(name, thing[name]) for name in ("price", "tags", "part")}
    assert encoder({**thing, **parts}) == encoder(thing)


@given(st.integers(-(2**63), 2**63 - 1))
def test_longs(value: int) -> None:
    assert encode_long(value) == _written("long", value)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_strings(value: str) -> None:
    assert encode_string(value) == _written("string", value)


def test_a_required_field_must_be_there() -> None:
    with pytest.raises(ValueError, match="'at' is required"):
        RecordEncoder(SCHEMA)({"id": "a"})


def test_a_plain_field_has_no_inner_record() -> None:
    with pytest.raises(TypeError, match="'price' holds no record"):
        RecordEncoder(SCHEMA).inner("price")


def test_requests_split_as_the_contract_splits_openrtb(market_run: Any) -> None:
    wire = market_run.accepted_wire("bid_requests", "bid_request")
    schema = fastavro.parse_schema(json.loads(avro_schema("BidRequest")))
    for value in wire["value"].to_list()[::60]:
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        expected = shred(rebuild(record))
        extension, own = expected.pop(EXTENSION_FIELD), record[EXTENSION_FIELD]
        assert {name: record[name] for name in BID_REQUEST.members} == expected
        assert json.loads(own) == json.loads(extension)


def test_every_good_message_is_readable_with_its_registered_schema(market_run: Any) -> None:
    registry = FileSchemaRegistry(market_run.folder / "registry")
    parsed = {}
    for record_type in ("bid_request", "bid_response", "bid_notice"):
        values = market_run.accepted_wire("bid_requests", record_type)["value"].to_list()[::40]
        for value in values:
            assert value[0] == 0
            schema_id = int.from_bytes(value[1:5], "big")
            if schema_id not in parsed:
                parsed[schema_id] = fastavro.parse_schema(json.loads(registry.schema(schema_id)))
            body = io.BytesIO(value[5:])
            record = fastavro.schemaless_reader(body, parsed[schema_id], None)
            assert body.read() == b""
            assert _written(parsed[schema_id], record) == value[5:]
    # Notices in two versions.
    assert len(parsed) == 4
