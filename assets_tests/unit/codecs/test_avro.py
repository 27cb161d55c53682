from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from adx_platform.codecs.avro_limits import LARGE_BODY, LONGEST_LIST
from adx_platform.codecs.encoding import confluent_frame, encode_avro
from adx_platform.codecs.screening import MAX_MESSAGE_BYTES
from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.openrtb import rebuild_from_columns
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


def test_a_message_that_ends_anywhere_is_rejected_and_its_neighbours_are_not() -> None:
    (whole,) = requests(OPENRTB)
    cut = [whole[:end] for end in range(5, len(whole))]
    batch = decoded([whole, *cut, whole])
    assert batch.frame["row"].to_list() == [0, len(cut) + 1]
    assert set(batch.rejects["reason_code"]) == {"malformed_avro"}
    assert batch.rejects.height == len(cut)


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
