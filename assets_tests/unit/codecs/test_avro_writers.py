"""Writer schemas that differ from the contract are resolved, or rejected with the problem."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adx_platform.codecs.encoding import confluent_frame, encode_avro
from adx_platform.contracts.avro_schemas import avro_schema
from assets_tests.unit.codecs.avro_messages import (  # noqa: F401 - a fixture
    AT,
    BID,
    CONTRACT,
    GOOD,
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


def writer_of(
    *, drop: str = "", change: dict[str, Any] | None = None, add: list[Any] | None = None
) -> str:
    schema = json.loads(avro_schema("BidResponse"))
    fields = [field for field in schema["fields"] if field["name"] != drop]
    for field in fields:
        if change and field["name"] in change:
            field["type"] = change[field["name"]]
            field.pop("default", None)
    schema["fields"] = fields + (add or [])
    return json.dumps(schema)


def as_written_by(schema: str, **values: Any) -> list[bytes]:
    return encode_avro("BidResponse", [{**BID, **values}], 1, schema)


TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "next", "type": ["null", "Tree"]}, {"name": "v", "type": "string"}],
}
EVOLVED: dict[str, tuple[str, dict[str, Any]]] = {
    "narrower numbers": (
        writer_of(change={"price_cpm_micros": ["null", "int"], "latency_ms": "int"}),
        {"price_cpm_micros": -70_000, "latency_ms": 5},
    ),
    "text as bytes": (writer_of(change={"request_id": "bytes"}), {"request_id": b"r\xc3\xa9"}),
    "null last": (writer_of(change={"currency": ["string", "null"]}), {"currency": "EUR"}),
    "three branches": (
        writer_of(change={"price_cpm_micros": ["int", "null", "long"]}),
        {"price_cpm_micros": 2**40},
    ),
    "a required field of the writer": (writer_of(change={"currency": "string"}), {}),
    "an optional field less": (writer_of(drop="currency"), {}),
    "added fields of every kind": (
        writer_of(
            add=[
                {"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
                {"name": "b", "type": {"type": "fixed", "name": "F", "size": 3}},
                {"name": "c", "type": {"type": "map", "values": {"type": "array", "items": "E"}}},
                {"name": "d", "type": ["null", "boolean", "float", "double", TREE]},
                {"name": "e", "type": "bytes"},
                {"name": "f", "type": "boolean"},
            ]
        ),
        {
            "a": "B",
            "b": b"xyz",
            "c": {"k": ["A", "B"], "l": []},
            "d": {"next": {"next": None, "v": "b"}, "v": "a"},
            "e": b"\xff",
            "f": True,
        },
    ),
}


@pytest.mark.parametrize(("schema", "values"), EVOLVED.values(), ids=EVOLVED.keys())
def test_compatible_writers_are_resolved(schema: str, values: dict[str, Any]) -> None:
    row = decoded(as_written_by(schema, **values), Registry(schema)).frame.row(0, named=True)
    known = {name: value for name, value in {**BID, **values}.items() if name in row}
    if isinstance(known["request_id"], bytes):
        known["request_id"] = known["request_id"].decode()
    if "currency" not in schema:
        known["currency"] = None
    assert {name: row[name] for name in known} == known


@pytest.mark.parametrize(
    ("schema", "code", "words"),
    [
        (writer_of(drop="request_id"), "incompatible_schema", "request_id is required"),
        (writer_of(change={"imp_id": "long"}), "incompatible_schema", "imp_id is written as long"),
        (writer_of(change={"no_bid_reason": "long"}), "incompatible_schema", "cannot hold"),
        ('{"type": "record"', "incompatible_schema", "not JSON"),
        ('"string"', "incompatible_schema", "not a record"),
        (
            '{"type": "record", "name": "com.advertisex.adx.Bid", "fields": []}',
            "unknown_record_type",
            "com.advertisex.adx.Bid",
        ),
        (
            writer_of(
                add=[
                    {
                        "name": "a",
                        "type": {
                            "type": "record",
                            "name": "Again",
                            "fields": [{"name": "again", "type": "Again"}],
                        },
                    }
                ]
            ),
            "incompatible_schema",
            "always contains itself",
        ),
    ],
)
def test_other_writers_are_rejected_with_the_problem(schema: str, code: str, words: str) -> None:
    ((_, found, reason),) = rejected([confluent_frame(1) + GOOD[1][5:]], Registry(schema))
    assert found == code
    assert words in reason


def test_deep_nesting_ends() -> None:
    schema = writer_of(add=[{"name": "t", "type": TREE}])
    deep = zigzag(1) * 50_000 + zigzag(0) + text("v") * 50_001
    message = confluent_frame(1) + HEAD[5:] + NULLS + deep
    assert [code for _, code, _ in rejected([message], Registry(schema))] == ["too_deep"]


def test_a_writer_schema_that_only_fastavro_refuses_is_a_reject_at_worst() -> None:
    schema = writer_of(change={"currency": "string"})
    refused = json.loads(schema)
    refused["fields"][-1]["default"] = "not a long"
    batch = decoded(as_written_by(schema), Registry(json.dumps(refused)))
    assert batch.rejects["reason_code"].to_list() in ([], ["incompatible_schema"])
