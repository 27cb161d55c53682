from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from adx_platform.contracts.frames import contract_model
from adx_platform.refine.batch import refine_batch
from adx_platform.refine.context import RefineContext
from adx_platform.settings import RefineSettings

Maker = Callable[..., bytes]
Raw = Callable[..., pl.DataFrame]
Contexts = Callable[..., RefineContext]

SITE = {"id": "s1", "domain": "News.Example", "publisher": {"id": "p1"}}


def rows_of(stream: str, context_of: Contexts, raw: pl.DataFrame) -> list[dict[str, Any]]:
    return refine_batch(raw, context_of(stream)).sort("partition", "offset").to_dicts()


def test_an_impression_is_standardised_enriched_and_reduced(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    message = impression_of(
        event_type=" Rendered ",
        event_id=" e1 ",
        site_domain="News.Example ",
        geo={"country": "de", "region": "BY"},
        device={"device_type": "Smartphone", "os": "ios"},
        gdpr_applies=True,
    )
    (row,) = rows_of("ad_impressions", context_of, raw_of([message]))
    assert row["disposition"] == "accepted"
    assert row["event_type"] == "rendered"
    assert row["event_id"] == "e1"
    assert row["site_domain"] == "news.example"
    assert (row["geo_country"], row["geo_region"]) == ("DE", "BY")
    assert (row["device_type"], row["os"], row["browser"]) == ("mobile", "iOS", "Chrome")
    assert row["ip_prefix"] == "198.51.100.0/24"
    assert len(row["user_id"]) == 64
    assert (row["user_id_key_id"], row["user_id_previous"]) == ("k1", None)
    assert (row["gdpr_applies"], row["has_consent"]) == (True, False)
    assert (row["is_givt"], row["givt_reason"]) == (False, None)
    assert (row["is_late"], row["lateness_seconds"]) == (False, 2)
    assert row["event_date"] == date(2026, 9, 21)
    assert row["revision"] == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"campaign_id": None}, ("missing_field", "campaign_id: required, but absent or empty")),
        ({"campaign_id": "  "}, ("missing_field", "campaign_id: required, but absent or empty")),
        ({"event_id": None}, ("missing_field", "event_id: required, but absent or empty")),
        ({"ts": None}, ("missing_field", "ts: required, but absent or empty")),
        ({"event_type": "clicked"}, ("invalid_value", "event_type: ")),
        ({"pixels_in_view_pct": 101}, ("invalid_value", "pixels_in_view_pct: ")),
        ({"pixels_in_view_pct": -0.5}, ("invalid_value", "pixels_in_view_pct: ")),
        ({"time_in_view_ms": -1}, ("invalid_value", "time_in_view_ms: ")),
        ({"bid_id": "a\0b"}, ("invalid_value", "bid_id: the text contains a NUL character")),
        ({"ts": 0}, ("event_too_old", "event time: more than 30 days")),
        ({"ts": 2**62}, ("event_in_future", "event time: more than 0:05:00")),
        ({"ts": -(2**63)}, ("event_too_old", "event time: ")),
        ({"ts": 2**63 - 1}, ("event_in_future", "event time: ")),
        ({"ts": "soon"}, ("wrong_type", "ts: expected an integer, got text")),
    ],
)
def test_a_bad_impression_is_rejected_with_the_field_and_nothing_personal(
    context_of: Contexts,
    raw_of: Raw,
    impression_of: Maker,
    changes: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    code, reason = expected
    (row,) = rows_of("ad_impressions", context_of, raw_of([impression_of(**changes)]))
    assert row["disposition"] == "rejected"
    assert row["reason_code"] == code
    assert row["reason"].startswith(reason)
    assert row["record_type"] == "ad_impression"
    assert row["event_id"] == (None if "event_id" in changes else "e1")
    assert row["event_date"] == date(2026, 9, 21)
    assert row["payload_fingerprint"] is not None
    for name in ("user_id", "ip_prefix", "user_agent", "impression_id"):
        assert row[name] is None


def test_a_nul_in_a_csv_line_is_found(context_of: Contexts, raw_of: Raw, click_line: bytes) -> None:
    raw = raw_of([click_line, click_line.replace(b"k1", b"k\0")])
    sound, broken = rows_of("clicks_conversions", context_of, raw)
    assert sound["disposition"] == "accepted"
    assert broken["reason"] == "click_id: the text contains a NUL character"


def test_click_and_conversion_rules(context_of: Contexts, raw_of: Raw, click_line: bytes) -> None:
    ts = click_line.split(b",")[2]
    conversion = b"conversion,e2," + ts + b",,,u1,a1,,o1,purchase,12.5,eur,198.51.100.7,,true,true"
    raw = raw_of(
        [
            click_line,
            conversion,
            click_line.replace(b",k1,", b",,"),
            conversion.replace(b",o1,", b",,"),
            conversion.replace(b"12.5,eur", b"12.5,"),
            conversion.replace(b"eur", b"euro"),
            click_line.replace(b"click,", b"view,"),
            click_line.replace(b"click,", b","),
        ]
    )
    rows = rows_of("clicks_conversions", context_of, raw)
    assert [row["record_type"] for row in rows[:2]] == ["click", "conversion"]
    assert [row["disposition"] for row in rows[:2]] == ["accepted", "accepted"]
    assert (rows[1]["value_micros"], rows[1]["currency"]) == (12_500_000, "EUR")
    assert rows[1]["has_consent"] is True
    assert rows[1]["givt_reason"] == "non_browser"
    assert [(row["reason_code"], row["reason"].split(":")[0]) for row in rows[2:]] == [
        ("missing_field", "click_id"),
        ("missing_field", "order_id"),
        ("invalid_value", "value_micros needs a currency"),
        ("invalid_value", "currency"),
        ("unknown_record_type", "event_type"),
        ("missing_field", "event_type"),
    ]


def test_the_header_states_the_csv_version(
    context_of: Contexts, raw_of: Raw, click_line: bytes
) -> None:
    def header(*values: bytes | None) -> list[dict[str, Any]]:
        return [{"key": "contract_version", "value": value} for value in values]

    headers = [
        header(b"1"),
        header(b"2"),
        header(b"1", b"2"),
        header(b"two"),
        header(b"\xff"),
        header(None),
        [{"key": "other", "value": b"2"}],
        [],
        None,
    ]
    raw = raw_of([click_line] * len(headers), headers=headers)
    rows = rows_of("clicks_conversions", context_of, raw)
    refused = [row["reason_code"] == "wrong_column_count" for row in rows]
    assert refused == [False, True, True, True, True, True, False, False, False]


def test_bid_records_of_three_kinds_in_one_batch(
    context_of: Contexts, raw_of: Raw, avro_of: Maker
) -> None:
    auction = {"request_id": "r1", "imp_id": "1"}
    bid = {**auction, "bid_id": "b1", "campaign_id": "c1", "price_cpm_micros": 5, "currency": "usd"}
    request = avro_of(
        "BidRequest",
        id="r1",
        at=1,
        test=1,
        imp=[
            {
                "id": "1",
                "bidfloor": 0.1234565,
                "banner": {"format": [{"w": 300, "h": 250}]},
                "pmp": {"deals": [{"id": "d1"}, {"id": "d2"}]},
            },
            {"id": "2", "video": {"w": 640, "h": 480}, "bidfloor": 1.0, "bidfloorcur": "eur"},
        ],
        site=SITE,
        device={
            "ua": "Googlebot/2.1",
            "ip": "203.0.113.9",
            "devicetype": 4,
            "geo": {"country": "deu"},
        },
        regs={"gdpr": 1},
    )
    raw = raw_of(
        [
            request,
            avro_of("BidResponse", **{**bid, "event_id": "e2"}),
            avro_of("BidResponse", **{**auction, "event_id": "e3", "no_bid_reason": 2}),
            avro_of("BidNotice", **{**bid, "event_id": "e4", "notice_type": "Billing"}),
            avro_of("BidResponse", **{**auction, "event_id": "e5"}),
            avro_of("BidResponse", **{**bid, "event_id": "e6", "no_bid_reason": 2}),
            avro_of("BidNotice", **{**bid, "event_id": "e7", "notice_type": "lost"}),
            avro_of("BidNotice", **{**bid, "event_id": "e8", "notice_type": "win", "bid_id": " "}),
            b"\x07nonsense",
        ]
    )
    rows = rows_of("bid_requests", context_of, raw)
    assert [row["reason_code"] for row in rows] == [
        *[None] * 4,
        *["invalid_value"] * 3,
        "missing_field",
        "bad_magic",
    ]
    assert [row["record_type"] for row in rows[:4]] == [
        "bid_request",
        "bid_response",
        "bid_response",
        "bid_notice",
    ]
    first = rows[0]
    assert first["imps"][0] == {
        "imp_id": "1",
        "media_type": "banner",
        "width": 300,
        "height": 250,
        "floor_cpm_micros": 123_456,
        "floor_currency": "USD",
        "placement_id": None,
        "deal_count": 2,
    }
    assert first["imps"][1]["floor_currency"] == "EUR"
    assert (first["imp_count"], first["channel"], first["publisher_id"]) == (2, "site", "p1")
    assert (first["site_domain"], first["geo_country"]) == ("news.example", "DEU")
    assert (first["is_test"], first["device_type"]) == (True, "mobile")
    assert (first["gdpr_applies"], first["has_consent"]) == (True, False)
    assert (first["is_givt"], first["givt_reason"]) == (True, "user_agent")
    assert first["device"]["ip"] == first["ip_prefix"] == "203.0.113.0/24"
    assert rows[3]["notice_type"] == "billing"
    assert rows[3]["currency"] == "USD"
    assert rows[1]["is_givt"] is None


def test_a_request_needs_impressions_with_ids(
    context_of: Contexts, raw_of: Raw, avro_of: Maker
) -> None:
    raw = raw_of(
        [
            avro_of("BidRequest", id="r1", imp=None),
            avro_of("BidRequest", id="r1", imp=[{"id": "1"}, {"id": None, "tagid": "t"}]),
            avro_of("BidRequest", id=None, imp=[{"id": "1"}]),
        ]
    )
    rows = rows_of("bid_requests", context_of, raw)
    assert [row["reason"].split(":")[0] for row in rows] == ["imp", "imp.id", "id"]
    assert {row["reason_code"] for row in rows} == {"missing_field"}


@pytest.mark.parametrize(
    "extension",
    [
        # Found by fuzzing: names something personal, so it was parsed, and stopped the line.
        '{"/x":"\\uZZZZ"}',
        '{"/device/ip":"192.0.2.7"',
        "[1]",
        "null",
        '{"/x":NaN}',
        '{"/x":' + "[" * 70 + "]" * 70 + "}",
        '{"/x":' + "[" * 5_000 + "]" * 5_000 + "}",
    ],
)
def test_an_extension_that_is_no_json_object_is_rejected(
    context_of: Contexts, raw_of: Raw, avro_of: Callable[..., bytes], extension: str
) -> None:
    good = '{"/x":1e999,"/user/geo/lat":1e999}'
    messages = [
        avro_of("BidRequest", id="r1", event_id=name, imp=[{"id": "1"}], extension_json=text)
        for name, text in (("bad", extension), ("good", good))
    ]
    bad, fine = rows_of("bid_requests", context_of, raw_of(messages))
    assert (bad["disposition"], bad["reason_code"]) == ("rejected", "invalid_value")
    assert bad["reason"] == "extension_json: not a JSON object of at most 64 levels"
    assert (bad["event_id"], bad["extension_json"]) == ("bad", None)
    assert fine["disposition"] == "accepted"
    # What is no number is not written as one.
    assert json.loads(fine["extension_json"])["/user/geo/lat"] is None


def test_gaps_become_rows_of_their_kind(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    raw = raw_of(
        [None, impression_of(), None, None],
        offset=[0, 5, 6, 9],
        gap_kind=["lost", None, "absent", "absent"],
        gap_length=[5, None, 3, 1],
        kafka_timestamp=[datetime(2026, 9, 20, 1, tzinfo=UTC)] * 1
        + [datetime(2026, 9, 21, 12, tzinfo=UTC)] * 2
        + [None],
    )
    rows = rows_of("ad_impressions", context_of, raw)
    assert [row["disposition"] for row in rows] == ["lost", "accepted", "absent", "absent"]
    assert [row["gap_length"] for row in rows] == [5, None, 3, 1]
    assert [row["event_date"].isoformat() for row in rows] == [
        "2026-09-20",
        "2026-09-21",
        "2026-09-21",
        "1970-01-01",
    ]
    assert rows[0]["event_id"] is None


def test_duplicates_and_conflicts_are_marked_among_accepted_rows_only(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    good, other = impression_of(), impression_of(site_domain="b.example")
    raw = raw_of(
        [impression_of(campaign_id=None), good, other, good, good],
        kafka_timestamp=[
            datetime(2026, 9, 21, 12, tzinfo=UTC) + timedelta(seconds=seconds)
            for seconds in (0, 2, 3, 1, 1)
        ],
    )
    rows = rows_of("ad_impressions", context_of, raw)
    assert [row["disposition"] for row in rows] == [
        "rejected",
        "duplicate",
        "conflict",
        "accepted",
        "duplicate",
    ]


def test_late_is_judged_against_the_broker(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    hour = 3_600_000_000
    base = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp() * 1_000_000)
    messages = [
        impression_of(event_id=f"e{shift}", ts=base - shift)
        for shift in (hour, hour + 1, -60_000_000)
    ]
    rows = rows_of("ad_impressions", context_of, raw_of(messages))
    assert [row["is_late"] for row in rows] == [False, True, False]
    assert [row["lateness_seconds"] for row in rows] == [3600, 3600, 0]


def test_a_unit_is_by_contract_and_is_not_guessed(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    """Seconds, milliseconds and nanoseconds are read as the microseconds that they are not."""
    now_us = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp() * 1_000_000)
    times = (now_us, now_us // 1_000_000, now_us // 1_000, now_us * 1_000)
    raw = raw_of([impression_of(event_id=f"e{n}", ts=ts) for n, ts in enumerate(times)])
    assert [row["reason_code"] for row in rows_of("ad_impressions", context_of, raw)] == [
        None,
        "event_too_old",
        "event_too_old",
        "event_in_future",
    ]


def test_a_clock_that_is_ahead_makes_nobody_else_late(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    """Nothing but the broker's time moves the bound, whatever the events before said."""
    base = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp() * 1_000_000)
    tolerance = RefineSettings().future_tolerance // timedelta(microseconds=1)
    shifts = [tolerance, tolerance + 1, 2**62 - base, -1, -3_600_000_000]
    raw = raw_of([impression_of(event_id=f"e{n}", ts=base + s) for n, s in enumerate(shifts)])
    rows = rows_of("ad_impressions", context_of, raw)
    assert [row["reason_code"] for row in rows] == [
        None,
        "event_in_future",
        "event_in_future",
        None,
        None,
    ]
    assert [row["is_late"] for row in rows if row["disposition"] == "accepted"] == [False] * 3


def test_a_frame_of_another_shape_is_refused(context_of: Contexts, raw_of: Raw) -> None:
    with pytest.raises(ValueError, match="raw rows need the schema"):
        refine_batch(raw_of([]).drop("headers"), context_of("ad_impressions"))


@pytest.mark.parametrize("stream", ["bid_requests", "ad_impressions", "clicks_conversions"])
def test_no_rows_in_no_rows_out(context_of: Contexts, raw_of: Raw, stream: str) -> None:
    context = context_of(stream)
    refined = refine_batch(raw_of([]), context)
    assert refined.is_empty()
    assert refined.schema == context.stream.events_schema


impressions = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.sampled_from(["e1", "e2", "e3", " e1", ""]),
        "ts": st.sampled_from([0, 1_790_000_000_000_000, "x"]),
        "user_id": st.sampled_from(
            [
                "visitor-4711",
                "00000000-0000-0000-0000-000000000000",
                "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            ]
        ),
        "ip": st.sampled_from(
            ["198.51.100.77", "2001:db8:1:2:3:4:5:6", "::ffff:198.51.100.77", "??"]
        ),
        "user_agent": st.sampled_from(["curl/8", "", "Googlebot/2.1", "Mozilla/5.0 (X11; Linux)"]),
        "campaign_id": st.just(None),
    },
)
broken = st.sampled_from([None, b"", b"{", b"[]", b"\xff", b'{"a":1,"a":1}'])
_MARKS = pl.col("disposition").replace({"duplicate": "accepted", "conflict": "accepted"})
_SECRETS = ("198.51.100.77", "2001:db8:1:2:3", "visitor-4711", "a0eebc99", "A0EEBC99")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_always_holds_of_a_batch(
    data: st.DataObject, context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    drawn = data.draw(st.lists(impressions | broken, max_size=10))
    messages = [impression_of(**item) if isinstance(item, dict) else item for item in drawn]
    context = context_of("ad_impressions")
    raw = raw_of(messages)
    refined = refine_batch(raw, context).sort("offset")
    # One row out per row in, of the contract's schema.
    assert refined["offset"].to_list() == list(range(len(messages)))
    assert refined.schema == context.stream.events_schema
    # The same input gives the same output.
    assert_frame_equal(refined, refine_batch(raw, context).sort("offset"))
    # Neighbours change nothing but duplicate marks.
    order = data.draw(st.permutations(range(len(messages))))
    shuffled = refine_batch(raw[list(order)], context).sort("offset")
    assert_frame_equal(shuffled, refined)
    if messages:
        at = data.draw(st.integers(0, len(messages) - 1))
        alone = refine_batch(raw[at], context)
        assert_frame_equal(alone.with_columns(_MARKS), refined[at].with_columns(_MARKS))
    # Nothing personal is left, wherever it was sent.
    text = refined.drop("payload_fingerprint").write_json()
    assert not [secret for secret in _SECRETS if secret in text]
    # What was accepted keeps the contract.
    accepted = refined.filter(pl.col("disposition").is_in(["accepted", "duplicate", "conflict"]))
    contract_model("ad_impressions", "ad_impression").validate(accepted, lazy=True)
