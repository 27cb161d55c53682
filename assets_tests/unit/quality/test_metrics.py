"""Measures are what a person would count by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.quality.metrics import (
    MEASURED_SCHEMA,
    Share,
    backlog,
    correlation_share,
    measure_stream,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def refined(*rows: tuple[str, str | None, bool | None, int | None, int]) -> pl.DataFrame:
    """Rows as (disposition, reason code, is late, event minute, broker minute)."""
    return pl.DataFrame(
        [
            (
                disposition,
                reason,
                late,
                None if event is None else NOON + timedelta(minutes=event),
                NOON + timedelta(minutes=broker),
            )
            for disposition, reason, late, event, broker in rows
        ],
        schema=MEASURED_SCHEMA,
        orient="row",
    )


def test_gap_rows_are_no_messages() -> None:
    measures = measure_stream(
        refined(
            ("accepted", None, False, 0, 1),
            ("accepted", None, True, -90, 2),
            ("rejected", "malformed_json", None, None, 3),
            ("rejected", "missing_field", None, None, 3),
            ("rejected", "malformed_json", None, None, 4),
            ("duplicate", None, False, 0, 5),
            ("lost", None, None, None, 90),
        )
    )

    assert measures.rejects == Share(3, 6)
    assert measures.late == Share(1, 2)
    assert list(measures.reasons.items()) == [("malformed_json", 2), ("missing_field", 1)]
    assert measures.event_delay == timedelta(minutes=5)


def test_shares_are_of_recent_messages_only() -> None:
    rows = refined(
        *[("accepted", None, False, 0, 0)] * 97,
        ("rejected", "malformed_json", None, None, 0),
        # A storm after an hour, of which an hour counts: the rows above are just too old.
        ("rejected", "unknown_schema_id", None, None, 30),
        ("accepted", None, True, -90, 60),
        ("lost", None, None, None, 600),
    )

    measures = measure_stream(rows, recent=timedelta(hours=1))

    assert (measures.rejects, measures.late) == (Share(1, 2), Share(1, 1))
    assert measures.reasons == {"unknown_schema_id": 1}
    assert measures.newest_event_time == NOON, "the delay is measured over everything"
    assert measure_stream(rows).rejects == Share(2, 100)
    assert measure_stream(rows.clear(), recent=timedelta(hours=1)).rejects.value is None


def test_an_event_ahead_of_the_broker_is_no_negative_delay() -> None:
    assert measure_stream(refined(("accepted", None, False, 3, 1))).event_delay == timedelta()


def test_nothing_stored_measures_nothing() -> None:
    measures = measure_stream(pl.DataFrame(schema=MEASURED_SCHEMA))

    assert measures.rejects.value is None
    assert str(measures.rejects) == "nothing to measure"
    assert measures.event_delay is None


def test_a_share_reads_as_percentage_and_counts() -> None:
    assert str(Share(1, 8)) == "12.50% (1 of 8)"


@dataclass
class PartitionLag:
    behind: int


def test_backlog_names_the_sum_and_the_worst() -> None:
    result = backlog([PartitionLag(3), PartitionLag(10), PartitionLag(0)])

    assert (result.total, result.worst) == (13, 10)
    assert backlog([]).worst == 0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], Share(0, 0)),
        ([(NOON, NOON, None), (NOON, None, NOON), (NOON, None, None)], Share(2, 3)),
        ([(None, NOON, NOON)], Share(0, 0)),
    ],
)
def test_correlation_counts_rendered_impressions_with_a_notice(
    rows: list[tuple[datetime | None, ...]], expected: Share
) -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_impressions"
            " (rendered_at timestamptz, won_at timestamptz, billed_at timestamptz)"
        )
        for row in rows:
            connection.execute("insert into marts.fct_impressions values (?, ?, ?)", row)

        assert (
            correlation_share(lambda sql: pl.DataFrame(connection.sql(sql).to_arrow_table()))
            == expected
        )


@pytest.mark.parametrize(
    ("part", "whole", "least", "most"),
    [
        (0, 0, 0.0, 0.0),
        (2, 18, 0.0, 0.05),
        (3, 8, 0.0, 0.1),
        (0, 50, 0.0, 0.0),
        (14, 18, 0.33, 0.5),
        (8, 8, 0.33, 0.5),
    ],
)
def test_a_few_messages_make_no_certain_share(
    part: int, whole: int, least: float, most: float
) -> None:
    assert least <= Share(part, whole).certain <= most


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_certain_share_is_not_above_the_share_and_nears_it(part: int, others: int) -> None:
    share = Share(part, part + others)
    many = Share(part * 10_000, (part + others) * 10_000)
    assert 0.0 <= share.certain <= (share.value or 0.0) + 1e-12
    assert many.certain == pytest.approx(many.value or 0.0, abs=0.02)
