from __future__ import annotations

import io
import json
import os
import random
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.codecs import avro
from adx_platform.codecs.avro import FRAME_SCHEMA, decode_avro
from adx_platform.codecs.avro_limits import LARGE_BODY, LONGEST_LIST
from adx_platform.codecs.encoding import bid_request_record, confluent_frame, encode_avro
from adx_platform.codecs.registry import UnknownSchemaIdError
from adx_platform.codecs.result import DecodedBatch
from adx_platform.codecs.screening import MAX_MESSAGE_BYTES
from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.openrtb import rebuild_from_columns

REPOSITORY = Path(__file__).parents[3]
DATA = Path(os.environ.get("ADX_TEST_DATA", REPOSITORY / "../shared/data"))
REQUESTS = DATA / "openrtb" / "pbs_incoming.ndjson"

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
    assert batch.frame["row"].is_sorted()
    return batch


def rejected(messages: list[bytes | None], registry: Registry = CONTRACT) -> list[tuple[Any, ...]]:
    return decoded(messages, registry).rejects.select("row", "reason_code", "reason").rows()


@pytest.fixture(params=["together", "singly"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of reading have to give the same answers."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "singly":
            patch.setattr(avro, "LARGE_BODY", -1)
        yield


def test_the_three_record_types_land_in_their_columns() -> None:
    notice = encode_avro("BidNotice", [{**NOTICE, "deal_id": "d"}], 3)
    frame = decoded([*requests(OPENRTB), *responses({}), *notice]).frame
    request, response, noticed = frame.rows(named=True)
    assert frame["record_type"].to_list() == ["bid_request", "bid_response", "bid_notice"]
    assert frame["schema_id"].to_list() == [1, 2, 3]
    assert frame["event_time"].to_list() == [datetime(2026, 3, 2, 10, tzinfo=UTC)] * 3
    assert (request["request_id"], request["auction_type"], request["is_test"]) == ("r", 1, True)
    assert rebuild_from_columns(request) == OPENRTB
    filled = {name: value for name, value in response.items() if value is not None}
    assert filled.pop("event_time")
    expected = {name: value for name, value in BID.items() if name != "responded_at"}
    assert filled == {**expected, "row": 1, "schema_id": 2, "record_type": "bid_response"}
    assert (noticed["notice_type"], noticed["deal_id"]) == ("win", "d")


def test_an_empty_batch_has_the_columns_too() -> None:
    assert decoded([]).frame.height == 0


def test_messages_without_a_frame_are_told_apart() -> None:
    large = b"\x00" * (MAX_MESSAGE_BYTES + 1)
    good = responses({})[0]
    messages = [None, b"", b"\x00\x00", b"\x01" + good[1:], large, good, b'{"id": 1}']
    found = rejected(messages)
    assert [(row, code) for row, code, _ in found] == [
        (0, "tombstone"),
        (1, "empty_message"),
        (2, "bad_magic"),
        (3, "bad_magic"),
        (4, "too_large"),
        (6, "bad_magic"),
    ]


def test_unknown_ids_are_rejected_whatever_their_size() -> None:
    good = responses({})[0]
    for schema_id in (99, 2**31 - 1, 2**31, 2**32 - 1):
        ((row, code, reason),) = rejected([confluent_frame(schema_id) + good[5:]])
        assert (row, code) == (0, "unknown_schema_id")
        assert str(schema_id) in reason


GOOD = [*requests(OPENRTB), *responses({"event_id": "a"})]


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
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing after the frame": (confluent_frame(2), "malformed_avro"),
    "cut in a number": (confluent_frame(2) + text("e") + text("x") + b"\x80", "malformed_avro"),
    "cut in a text": (GOOD[1][:30], "malformed_avro"),
    "cut at the end": (GOOD[1][:-1], "malformed_avro"),
    "one byte left": (HEAD + NULLS + b"\x00", "trailing_bytes"),
    "two records": (GOOD[1] + GOOD[1], "trailing_bytes"),
    "no such branch": (HEAD + zigzag(2) + NULLS, "malformed_avro"),
    "a text of 2 GB": (confluent_frame(2) + zigzag(2**31) + b"e", "malformed_avro"),
    "a text of 4 EB": (confluent_frame(2) + zigzag(2**62) + b"e", "malformed_avro"),
    "a text of less than nothing": (confluent_frame(2) + zigzag(-5) + b"e", "malformed_avro"),
    "text that is no text": (
        confluent_frame(2) + zigzag(2) + b"\xff\xfe" + HEAD[7:] + NULLS,
        "invalid_encoding",
    ),
    "garbage": (confluent_frame(2) + bytes(range(255, 0, -1)), "malformed_avro"),
}


@pytest.mark.parametrize(("message", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_message_is_rejected_and_its_neighbours_are_not(message: bytes, code: str) -> None:
    batch = decoded([*GOOD, message, *GOOD])
    assert batch.rejects.select("row", "reason_code").rows() == [(2, code)]
    assert batch.rejects["record_type"].to_list() == ["bid_response"]
    expected = decoded(GOOD).frame.drop("row")
    assert batch.frame.head(2).drop("row").equals(expected)
    assert batch.frame.tail(2).drop("row").equals(expected)


def test_all_broken_messages_together() -> None:
    batch = decoded([*GOOD, *(message for message, _ in BROKEN.values()), *GOOD])
    assert batch.rejects["reason_code"].to_list() == [code for _, code in BROKEN.values()]
    assert batch.frame["row"].to_list() == [0, 1, len(BROKEN) + 2, len(BROKEN) + 3]


def test_reasons_do_not_quote_the_message() -> None:
    secret = HEAD.replace(b"r", b"S") + zigzag(7) + NULLS
    ((_, _, reason),) = rejected([secret])
    assert "S" not in reason


# -- lists that claim more than there is

LISTS = json.dumps(
    {
        "type": "record",
        "name": "com.advertisex.adx.BidResponse",
        "fields": [
            *json.loads(avro_schema("BidResponse"))["fields"],
            {"name": "new", "type": {"type": "array", "items": "long"}},
            {"name": "more", "type": {"type": "map", "values": "long"}},
        ],
    }
)


@pytest.mark.parametrize("count", [2**20, 2**31, 2**40, 2**62, -(2**31), -(2**62), -(2**63)])
@pytest.mark.parametrize("where", ["array", "map"])
def test_a_huge_claimed_count_costs_nothing(count: int, where: str) -> None:
    lists = zigzag(count) if where == "array" else zigzag(0) + zigzag(count)
    bad = HEAD + NULLS + lists + zigzag(9) * 3
    good = HEAD + NULLS + zigzag(-2) + zigzag(2) + zigzag(4) + zigzag(5) + zigzag(0)
    good += zigzag(1) + text("k") + zigzag(3) + zigzag(0)
    batch = decoded([confluent_frame(1) + each[5:] for each in (good, bad, good)], Registry(LISTS))
    assert batch.rejects.select("row", "reason_code").rows() == [(1, "malformed_avro")]
    assert batch.noted == ("more", "new")


def test_a_long_list_and_a_large_message_are_read_whole() -> None:
    objects = [
        {"id": "a", "bcat": [f"IAB{number}" for number in range(LONGEST_LIST + 5)]},
        OPENRTB,
        {"id": "b", "site": {"page": "x" * (LARGE_BODY + 10)}},
        {"id": "c", "imp": [{"id": str(n), "exp": n} for n in range(LONGEST_LIST + 1)]},
    ]
    frame = decoded(requests(*objects)).frame
    assert [rebuild_from_columns(row) for row in frame.iter_rows(named=True)] == objects


def test_a_number_that_does_not_fit_is_no_null() -> None:
    large = {"id": "a", "imp": [{"id": "1", "exp": 7}], "site": {"page": "x" * LARGE_BODY}}
    (message,) = requests(large)
    body = message.replace(zigzag(1) + zigzag(7), zigzag(1) + zigzag(2**40), 1)
    assert body != message
    ((_, code, reason),) = rejected([body])
    assert code == "malformed_avro"
    assert "does not fit" in reason


# -- writers that differ from the contract


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


# -- against another implementation


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


@pytest.mark.skipif(not REQUESTS.is_file(), reason=f"{REQUESTS.name} is not on this machine")
def test_every_real_request_survives_the_wire() -> None:
    objects = [json.loads(line) for line in REQUESTS.read_bytes().splitlines()]
    objects = [each for each in objects if isinstance(each, dict)]
    frame = decoded(list(requests(*objects))).frame
    assert frame.height == len(objects) >= 2775
    rows = frame.iter_rows(named=True)
    assert [
        each for each, row in zip(objects, rows, strict=True) if rebuild_from_columns(row) != each
    ] == []
