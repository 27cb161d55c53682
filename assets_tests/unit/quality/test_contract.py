"""Accepted rows that break the contract are named by rule, count and pointer."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from adx_platform.contracts.streams import STREAMS
from adx_platform.quality.contract import verify_contract

STREAM = STREAMS["clicks_conversions"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def accepted(count: int = 3) -> pl.DataFrame:
    values = {
        "topic_id": "t",
        "partition": 0,
        "kafka_timestamp": NOON,
        "revision": 0,
        "disposition": "accepted",
        "record_type": "conversion",
        "contract_version": 2,
        "event_time": NOON,
        "event_date": NOON.date(),
        "is_late": False,
        "lateness_seconds": 0,
        "payload_fingerprint": "0" * 32,
        "advertiser_id": "adv-1",
        "order_id": "order-1",
        "conversion_type": "purchase",
        "value_micros": 5,
        "currency": "EUR",
    }
    rows = [
        {name: values.get(name) for name in STREAM.events_schema}
        | {"offset": offset, "event_id": f"e{offset}"}
        for offset in range(count)
    ]
    return pl.DataFrame(rows, schema=STREAM.events_schema)


def test_rows_that_fulfil_the_contract_pass() -> None:
    report = verify_contract(STREAM, accepted())

    assert report.passed
    assert report.checked == {"click": 0, "conversion": 3}


def test_a_broken_rule_names_its_column_count_and_pointer() -> None:
    rows = accepted().with_columns(
        currency=pl.when(pl.col("offset") > 0).then(pl.lit("euro")).otherwise("currency")
    )

    (violation,) = verify_contract(STREAM, rows).violations

    assert (violation.record_type, violation.column, violation.rows) == (
        "conversion",
        "currency",
        2,
    )
    assert violation.example == "t/0/1"


def test_a_missing_required_value_is_a_violation() -> None:
    report = verify_contract(STREAM, accepted().with_columns(order_id=pl.lit(None, pl.String)))

    assert not report.passed
    assert {v.column for v in report.violations} == {"order_id"}


def test_an_unknown_record_type_is_not_overlooked() -> None:
    report = verify_contract(STREAM, accepted().with_columns(record_type=pl.lit("refund")))

    assert (report.passed, report.unknown) == (False, 3)


def test_no_rows_break_nothing() -> None:
    assert verify_contract(STREAM, accepted(0)).passed
