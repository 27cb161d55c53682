from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandera.errors
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.frames import breaches, breaks_contract, columns_of, contract_model
from adx_platform.contracts.streams import STREAMS

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
ENVELOPE: dict[str, Any] = {
    "topic_id": "t",
    "partition": 0,
    "offset": 5,
    "kafka_timestamp": AT,
    "revision": 0,
    "disposition": "accepted",
    "contract_version": 1,
    "event_id": "e",
    "event_time": AT,
    "event_date": date(2026, 3, 2),
    "is_late": False,
    "lateness_seconds": 0,
    "payload_fingerprint": "0" * 32,
}
BID = {"exchange_id": "x", "request_id": "r", "imp_id": "1"}
GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("bid_requests", "bid_request"): {
        "exchange_id": "x",
        "request_id": "r",
        "imp_count": 1,
        "imps": [{"imp_id": "1"}],
    },
    ("bid_requests", "bid_response"): {
        **BID,
        "bid_id": "b",
        "campaign_id": "c",
        "price_cpm_micros": 0,
        "currency": "USD",
    },
    ("bid_requests", "bid_notice"): {**BID, "bid_id": "b", "notice_type": "loss"},
    ("ad_impressions", "ad_impression"): {
        **BID,
        "bid_id": "b",
        "event_type": "viewable",
        "impression_id": "i",
        "campaign_id": "c",
        "creative_id": "k",
        "advertiser_id": "a",
        "publisher_id": "p",
        "pixels_in_view_pct": 100.0,
    },
    ("clicks_conversions", "click"): {
        "click_id": "k",
        "impression_id": "i",
        "advertiser_id": "a",
        "campaign_id": "c",
    },
    ("clicks_conversions", "conversion"): {
        "advertiser_id": "a",
        "order_id": "o",
        "conversion_type": "purchase",
        "value_micros": 1,
        "currency": "EUR",
    },
}


def failing_rows(
    stream: str, record_type: str, changes: list[dict[str, Any]]
) -> set[tuple[int, str, str]]:
    """Row, column and check of everything that fails when a good row is changed in these ways."""
    good = {**ENVELOPE, **GOOD[stream, record_type], "record_type": record_type}
    rows = [good | change for change in changes]
    frame = pl.DataFrame(rows, schema=STREAMS[stream].events_schema)
    try:
        contract_model(stream, record_type).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        found = error.failure_cases
    else:
        return set()
    return set(found.select("index", "column", "check").iter_rows())


def failures(stream: str, record_type: str, changes: dict[str, Any]) -> set[tuple[str, str]]:
    found = failing_rows(stream, record_type, [changes])
    assert {row for row, _, _ in found} <= {0}
    return {(column, check) for _, column, check in found}


@pytest.mark.parametrize(("stream", "record_type"), GOOD)
def test_a_good_row_passes(stream: str, record_type: str) -> None:
    assert failures(stream, record_type, {}) == set()


@pytest.mark.parametrize(("stream", "record_type"), GOOD)
def test_every_required_column_is_missed(stream: str, record_type: str) -> None:
    required = [name for name, needed in columns_of(STREAMS[stream], record_type).items() if needed]
    found = failing_rows(stream, record_type, [{name: None} for name in required])
    missed = {(row, column) for row, column, check in found if check == "not_nullable"}
    assert missed == set(enumerate(required))


@pytest.mark.parametrize(
    ("stream", "record_type", "changes", "column"),
    [
        ("bid_requests", "bid_response", {"price_cpm_micros": -1}, "price_cpm_micros"),
        ("bid_requests", "bid_response", {"currency": "usd"}, "currency"),
        ("bid_requests", "bid_response", {"imp_id": ""}, "imp_id"),
        ("bid_requests", "bid_notice", {"notice_type": "won"}, "notice_type"),
        ("bid_requests", "bid_request", {"record_type": "bid_notice"}, "record_type"),
        ("ad_impressions", "ad_impression", {"event_type": "seen"}, "event_type"),
        ("ad_impressions", "ad_impression", {"pixels_in_view_pct": 100.5}, "pixels_in_view_pct"),
        ("ad_impressions", "ad_impression", {"time_in_view_ms": -1}, "time_in_view_ms"),
        ("ad_impressions", "ad_impression", {"device_type": "phone"}, "device_type"),
        ("clicks_conversions", "click", {"payload_fingerprint": "xyz"}, "payload_fingerprint"),
        ("clicks_conversions", "click", {"user_id": "clear-user-id"}, "user_id"),
        ("clicks_conversions", "conversion", {"value_micros": -5}, "value_micros"),
        ("clicks_conversions", "click", {"disposition": "rejected"}, "disposition"),
    ],
)
def test_a_value_outside_its_contract_fails_its_column(
    stream: str, record_type: str, changes: dict[str, Any], column: str
) -> None:
    assert {name for name, _ in failures(stream, record_type, changes)} == {column}


@pytest.mark.parametrize(
    ("stream", "record_type", "changes", "rule"),
    [
        ("bid_requests", "bid_response", {"no_bid_reason": 2}, "or no_bid_reason"),
        ("bid_requests", "bid_response", {"bid_id": None}, "or no_bid_reason"),
        ("bid_requests", "bid_notice", {"notice_type": "billing"}, "needs price_cpm_micros"),
        ("bid_requests", "bid_notice", {"price_cpm_micros": 1}, "needs a currency"),
        ("bid_requests", "bid_request", {"imp_count": 2}, "length of imps"),
        ("clicks_conversions", "conversion", {"currency": None}, "needs a currency"),
    ],
)
def test_rules_across_columns_are_reported_as_sentences(
    stream: str, record_type: str, changes: dict[str, Any], rule: str
) -> None:
    ((_, check),) = failures(stream, record_type, changes)
    assert rule in check


def test_a_no_bid_passes() -> None:
    nothing = dict.fromkeys(("bid_id", "campaign_id", "price_cpm_micros", "currency"))
    assert failures("bid_requests", "bid_response", {**nothing, "no_bid_reason": 2}) == set()


def test_another_type_or_column_is_refused() -> None:
    model = contract_model("clicks_conversions", "click")
    row = {**ENVELOPE, **GOOD["clicks_conversions", "click"], "record_type": "click"}
    frame = pl.DataFrame([row], schema=STREAMS["clicks_conversions"].events_schema)
    with pytest.raises(pandera.errors.SchemaErrors):
        model.validate(frame.with_columns(pl.col("offset").cast(pl.Int32)), lazy=True)
    with pytest.raises(pandera.errors.SchemaErrors):
        model.validate(frame.drop("click_id"), lazy=True)
    with pytest.raises(pandera.errors.SchemaErrors):
        model.validate(frame.with_columns(extra=pl.lit(1)), lazy=True)


TEXTS = [
    *("", " ", "e", "EUR", "eur", "EURO", "EUR\n", "0" * 32, "f" * 64, "F" * 64),
    *("accepted", "rejected", "duplicate", "viewable", "billing", "loss", "site", "ctv"),
    *("user_agent", "click", "conversion", "ad_impression", "bid_request"),
]
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pl.String: st.one_of(st.none(), st.sampled_from(TEXTS)),
    pl.Int32: st.one_of(st.none(), st.integers(-2, 3)),
    pl.Int64: st.one_of(st.none(), st.integers(-2, 3), st.just(-(2**63)), st.just(2**63 - 1)),
    pl.Float64: st.one_of(
        st.none(), st.sampled_from([0.0, -0.0, 100.0, 100.1, -1e-9, float("nan"), float("inf")])
    ),
    pl.Boolean: st.sampled_from([None, True, False]),
}


@st.composite
def changed_rows(draw: st.DrawFn) -> tuple[str, str, list[dict[str, Any]]]:
    """A record type, and good rows of it with up to three columns changed to anything."""
    stream, record_type = draw(st.sampled_from(list(GOOD)))
    schema = STREAMS[stream].events_schema
    changes = st.dictionaries(
        st.sampled_from([n for n, t in schema.items() if t in VALUES]), st.none(), max_size=3
    )
    rows = [
        {name: draw(VALUES[schema[name]]) for name in chosen}
        for chosen in draw(st.lists(changes, min_size=1, max_size=8))
    ]
    return stream, record_type, rows


@settings(max_examples=100, deadline=None)
@given(changed_rows())
def test_the_expressions_say_what_the_model_says(
    case: tuple[str, str, list[dict[str, Any]]],
) -> None:
    stream, record_type, changes = case
    good = {**ENVELOPE, **GOOD[stream, record_type], "record_type": record_type}
    frame = pl.DataFrame(
        [good | change for change in changes], schema=STREAMS[stream].events_schema
    )
    broken = frame.select(breaks_contract(stream, record_type)).to_series()
    expected = failing_rows(stream, record_type, changes)
    assert set(broken.arg_true().to_list()) == {row for row, _, _ in expected}
    assert broken.null_count() == 0
    # And in parts: the model names rules across columns by the schema.
    name = contract_model(stream, record_type).name
    told = {
        (row, breach.column or name, breach.check)
        for breach in breaches(stream, record_type)
        for row in frame.select(breach.holds).to_series().arg_true()
    }
    assert told == expected
