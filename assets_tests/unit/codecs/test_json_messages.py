from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.codecs.json_depth import MAX_DEPTH
from adx_platform.codecs.json_messages import JSON_SCHEMA, decode_json
from adx_platform.codecs.result import DecodedBatch
from assets_tests.real_data import data_folder

GOOD: dict[str, Any] = {
    "event_type": "rendered",
    "event_id": "e1",
    "ts": 1_790_000_000_000_000,
    "impression_id": "i1",
    "exchange_id": "x1",
    "request_id": "r1",
    "imp_id": "1",
    "bid_id": "b1",
    "campaign_id": "c1",
    "creative_id": "cr1",
    "advertiser_id": "a1",
    "publisher_id": "p1",
    "device": {"device_type": "mobile", "os": "Android"},
    "geo": {"country": "DE"},
    "pixels_in_view_pct": 50,
    "time_in_view_ms": 1200,
    "gdpr_applies": True,
}


def decode(*messages: bytes | None) -> DecodedBatch:
    return decode_json(pl.Series(messages, dtype=pl.Binary))


def encoded(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def only_reject(message: bytes | None) -> dict[str, Any]:
    batch = decode(message)
    assert batch.frame.is_empty()
    (reject,) = batch.rejects.to_dicts()
    return reject


def test_a_good_message_becomes_typed_columns() -> None:
    batch = decode(encoded())
    assert batch.rejects.is_empty()
    assert batch.frame.schema == JSON_SCHEMA
    row = batch.frame.row(0, named=True)
    assert row["ts"] == GOOD["ts"]
    assert row["device_type"] == "mobile"
    assert row["geo_country"] == "DE"
    assert row["geo_region"] is None
    assert row["pixels_in_view_pct"] == 50.0
    assert row["gdpr_applies"] is True
    assert row["consent"] is None


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (None, "tombstone"),
        (b"", "empty_message"),
        (b" ", "malformed_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"1", "not_an_object"),
        (b"{", "malformed_json"),
        (b"{}{}", "malformed_json"),
        (b"{}\n{}", "malformed_json"),
        (b'{"event_id":"e1",}', "malformed_json"),
        (b'{"ts":NaN}', "malformed_json"),
        (b'{"other":Infinity}', "malformed_json"),
        (b'{"ts":01}', "malformed_json"),
        (b'{"event_id":"\x01"}', "malformed_json"),
        (b'{"event_id":"\\ud800"}', "malformed_json"),
        (b'{"other":"\\ud800 "}', "malformed_json"),
        (b"\xef\xbb\xbf{}", "malformed_json"),
        (b'{"event_id":"\xff"}', "invalid_encoding"),
        (b"\x00\x01\x02\xfe", "invalid_encoding"),
        (b'{"event_id":"a","event_id":"b"}', "duplicate_key"),
        (b'{"event_id":"a","event_id":"a"}', "duplicate_key"),
        (b'{"event_id":null,"event_id":"a"}', "duplicate_key"),
        (b'{"event_id":"a","event\\u005fid":"b"}', "duplicate_key"),
        (b'{"device":{"os":"a","os":"b"}}', "duplicate_key"),
        (b'{"other":[{"k":1,"k":2}]}', "duplicate_key"),
        (b'{"ts":"x","ts":1}', "duplicate_key"),
        (b'{"other":1,"other" : null}', "duplicate_key"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "too_deep"),
        (b"[" * 200_000, "too_deep"),
        (b'{"event_id":"' + b"a" * (1 << 20) + b'"}', "too_large"),
    ],
)
def test_each_kind_of_broken_message_has_its_code(message: bytes | None, code: str) -> None:
    assert only_reject(message)["reason_code"] == code


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ts": "1"}, "ts: expected an integer, got text"),
        ({"ts": 1.5}, "ts: expected an integer, got a number with a decimal point or exponent"),
        ({"ts": 2**63}, "ts: a number outside the 64-bit range"),
        ({"ts": True}, "ts: expected an integer, got true or false"),
        ({"event_id": 7}, "event_id: expected text, got an integer"),
        ({"consent": "true"}, "consent: expected true or false, got text"),
        ({"consent": 1}, "consent: expected true or false, got an integer"),
        ({"device": "phone"}, "device: expected an object, got text"),
        ({"device": {"os": 1}}, "device.os: expected text, got an integer"),
        ({"geo": []}, "geo: expected an object, got an array"),
        ({"pixels_in_view_pct": "50"}, "pixels_in_view_pct: expected a number, got text"),
    ],
)
def test_a_wrong_type_names_the_field_and_no_value(changes: dict[str, Any], reason: str) -> None:
    reject = only_reject(encoded(**changes))
    assert reject["reason_code"] == "wrong_type"
    assert reject["reason"] == reason
    assert reject["event_id"] == (None if "event_id" in changes else "e1")


def test_a_number_too_large_for_a_double_is_a_wrong_type() -> None:
    assert only_reject(b'{"pixels_in_view_pct":1e999}')["reason_code"] == "wrong_type"


@pytest.mark.parametrize(
    "message",
    [
        json.dumps(GOOD, indent=2).encode(),
        b"  " + json.dumps(GOOD).encode() + b"\r\n",
        json.dumps({**GOOD, "user_agent": 'a "quoted": null, {[\n'}).encode(),
        json.dumps({**GOOD, "site_domain": None, "ip": None}).encode(),
        json.dumps({**GOOD, "added": {"nested": [{"k": 1}, {"k": 2}]}}).encode(),
        json.dumps({**GOOD, "added": "[" * (MAX_DEPTH + 20)}).encode(),
        json.dumps({**GOOD, "added": [[1], [2]] * 50}).encode(),
    ],
)
def test_unusual_but_sound_messages_pass_unchanged(message: bytes) -> None:
    batch = decode(message)
    assert batch.rejects.is_empty()
    row = batch.frame.row(0, named=True)
    document = json.loads(message)
    assert row["event_id"] == "e1"
    assert row["user_agent"] == document.get("user_agent")


def test_unknown_fields_pass_and_are_noted() -> None:
    batch = decode(encoded(viewer_count=3), encoded(zone='"x":'), encoded())
    assert batch.frame.height == 3
    assert batch.noted == ("viewer_count", "zone")


def test_depth_is_counted_outside_of_strings_and_inclusive() -> None:
    allowed = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    refused = b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"
    assert decode(allowed).rejects.is_empty()
    assert only_reject(refused)["reason_code"] == "too_deep"


def test_an_empty_series_gives_empty_frames() -> None:
    batch = decode()
    assert batch.frame.schema == JSON_SCHEMA
    assert batch.frame.is_empty()
    assert batch.rejects.is_empty()


def test_jsonchecker_failures_are_refused_as_message_and_inside_a_field() -> None:
    failing = [
        path
        for path in sorted(
            data_folder("conformance", "nativejson", "jsonchecker").glob("fail*.json")
        )
        if "EXCLUDE" not in path.name
    ]
    assert len(failing) > 25
    for path in failing:
        text = path.read_bytes()
        code = only_reject(text)["reason_code"]
        assert code == "malformed_json", path.name
        wrapped = only_reject(b'{"added": ' + text + b"}")
        assert wrapped["reason_code"] == "malformed_json", path.name


def test_jsonchecker_passes_are_read() -> None:
    for path in sorted(data_folder("conformance", "nativejson", "jsonchecker").glob("pass*.json")):
        batch = decode(b'{"event_id": "e1", "added": ' + path.read_bytes() + b"}")
        assert batch.frame["event_id"].to_list() == ["e1"], path.name


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
documents = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.none() | texts,
        "user_agent": st.none() | texts,
        "ts": st.none() | st.integers(-(2**63), 2**63 - 1),
        "pixels_in_view_pct": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "consent": st.none() | st.booleans(),
        "device": st.none() | st.fixed_dictionaries({}, optional={"os": st.none() | texts}),
        "added": st.recursive(
            st.none() | st.booleans() | st.integers() | texts,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
            max_leaves=6,
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(documents, max_size=6), st.booleans(), st.booleans())
def test_every_sound_document_comes_out_as_it_went_in(
    batch: list[dict[str, Any]], ascii_only: bool, spaced: bool
) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    messages = [
        json.dumps(document, ensure_ascii=ascii_only, separators=separators).encode()
        for document in batch
    ]
    decoded = decode(*messages)
    assert decoded.rejects.is_empty()
    for document, row in zip(batch, decoded.frame.to_dicts(), strict=True):
        for name in ("event_id", "user_agent", "ts", "pixels_in_view_pct", "consent"):
            assert row[name] == document.get(name)
        assert row["os"] == (document.get("device") or {}).get("os")


broken = st.sampled_from(
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}{}",
        b"\xff",
        b"\n",
        b'"',
        b'{"ts":1.5}',
        b'{"a":1,"a":2}',
    ]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(broken | st.just(b'{"event_id":"good"}') | st.binary(max_size=8), max_size=12))
def test_a_message_is_judged_the_same_in_any_company(messages: list[bytes | None]) -> None:
    together = decode(*messages)
    rows = together.frame["row"].to_list() + together.rejects["row"].to_list()
    assert sorted(rows) == list(range(len(messages)))
    assert together.frame["row"].is_sorted()
    by_row = {row["row"]: row for row in together.frame.to_dicts() + together.rejects.to_dicts()}
    for position, message in enumerate(messages):
        alone = decode(message)
        (expected,) = alone.frame.to_dicts() + alone.rejects.to_dicts()
        assert by_row[position] == {**expected, "row": position}
