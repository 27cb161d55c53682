"""Runs of offsets stand for rows that went, exactly, and give way when the rows come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adx_platform.warehouse.base import LoadRange
from adx_platform.warehouse.expired_offsets import (
    Leaving,
    cut_runs,
    going,
    is_going,
    leaving_by_stream,
    noting_statement,
    returning_statements,
)
from adx_platform.warehouse.hive_rows import table_rows
from adx_platform.warehouse.load_rules import range_parameters
from adx_platform.warehouse.tables import (
    AD_IMPRESSIONS,
    BID_REQUEST_IMPS,
    BID_REQUESTS,
    CLICKS,
    CONVERSIONS,
    EXPIRED_OFFSETS,
    schema_statements,
)

DAY = date(2026, 3, 2)
KEPT_FROM = date(2026, 3, 3)
STREAM = "clicks_conversions"


class Books:
    """The loader's tables, and where the losing copies of the last build are."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for statement in schema_statements("duckdb"):
            self.connection.execute(statement)
        self.connection.execute("create schema intermediate")
        for table in (CLICKS, CONVERSIONS):
            self.connection.execute(
                f"create table intermediate.int_{table.name}_copies (topic_id varchar, partition_id"
                " integer, kafka_offset bigint, event_id varchar, disposition varchar,"
                " event_date date)"
            )

    def insert(self, table: str, offset: int, *, day: date = DAY, load_id: int = 1) -> None:
        self.connection.execute(
            f"insert into raw.{table} (topic_id, partition_id, kafka_offset, event_id, event_date,"
            " load_id, kafka_timestamp) values ('t', 0, ?, ?, ?, ?, ?)",
            [offset, f"e{offset}", day, load_id, datetime(2026, 3, 2)],  # noqa: DTZ001 naive UTC
        )

    def lose(self, table: str, offset: int, disposition: str) -> None:
        self.connection.execute(
            f"insert into intermediate.int_{table}_copies values ('t', 0, ?, ?, ?, ?)",
            [offset, f"e{offset}", disposition, DAY],
        )

    def note(self, to_load_id: int = 1) -> None:
        leaving = [Leaving(CLICKS, KEPT_FROM), Leaving(CONVERSIONS, KEPT_FROM)]
        self.connection.execute(noting_statement(leaving, to_load_id))

    def give_back(self, start: int, end: int) -> None:
        part = LoadRange("t", 0, start, end, revision=1)
        for statement in returning_statements(9, "$"):
            self.connection.execute(statement, range_parameters(STREAM, part))

    def runs(self) -> list[tuple[int, int, str]]:
        return self.connection.execute(
            "select start_offset, end_offset, disposition from control.expired_offsets order by all"
        ).fetchall()

    def clear(self) -> None:
        for table in ("raw.clicks", "control.expired_offsets", "control.removed_rows"):
            self.connection.execute(f"delete from {table}")


@pytest.fixture(scope="module")
def shared() -> Iterator[Books]:
    books = Books()
    yield books
    books.connection.close()


@pytest.fixture
def books() -> Iterator[Books]:
    made = Books()
    yield made
    made.connection.close()


def test_rows_of_two_tables_make_one_run_and_losers_runs_of_their_own(books: Books) -> None:
    for offset in (3, 5, 6, 9):
        books.insert("clicks", offset)
    for offset in (4, 7):
        books.insert("conversions", offset)
    books.lose("clicks", 6, "duplicate")
    books.lose("conversions", 7, "conflict")

    books.note()

    assert books.runs() == [
        (3, 6, "accepted"),
        (6, 7, "duplicate"),
        (7, 8, "conflict"),
        (9, 10, "accepted"),
    ]


def test_rows_that_stay_are_not_noted(books: Books) -> None:
    books.insert("clicks", 1, day=KEPT_FROM)
    books.insert("clicks", 2, load_id=2)

    books.note(to_load_id=1)

    assert books.runs() == []


def test_a_replaced_range_cuts_the_runs_that_it_meets_and_notes_their_days(books: Books) -> None:
    for offset in range(10):
        books.insert("clicks", offset)
    books.note()

    books.give_back(4, 6)

    assert books.runs() == [(0, 4, "accepted"), (6, 10, "accepted")]
    noted = books.connection.execute(
        "select load_id, table_name, event_date, user_id from control.removed_rows"
    ).fetchall()
    assert noted == [(9, "expired_offsets", DAY, None)]
    books.give_back(4, 6)
    assert books.runs() == [(0, 4, "accepted"), (6, 10, "accepted")], "nothing is met any more"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    offsets=st.sets(st.integers(0, 30), min_size=1),
    start=st.integers(0, 30),
    length=st.integers(1, 12),
)
def test_runs_cover_what_went_and_did_not_come_back(
    shared: Books, offsets: set[int], start: int, length: int
) -> None:
    shared.clear()
    for offset in offsets:
        shared.insert("clicks", offset)

    shared.note()
    assert _covered(shared) == sorted(offsets)

    shared.give_back(start, start + length)
    assert _covered(shared) == sorted(offsets - set(range(start, start + length)))


def test_what_goes_is_noted_by_stream_and_impressions_have_the_offsets_of_requests() -> None:
    tables = (AD_IMPRESSIONS, BID_REQUESTS, BID_REQUEST_IMPS, CLICKS, CONVERSIONS)
    kept_from = {table.qualified_name: KEPT_FROM for table in tables} | {"marts.fct_clicks": DAY}
    assert sorted(leaving_by_stream(kept_from), key=repr) == sorted(
        [
            [Leaving(BID_REQUESTS, KEPT_FROM)],
            [Leaving(AD_IMPRESSIONS, KEPT_FROM)],
            [Leaving(CLICKS, KEPT_FROM), Leaving(CONVERSIONS, KEPT_FROM)],
        ],
        key=repr,
    )
    assert list(leaving_by_stream({"marts.fct_clicks": DAY})) == []


OFFSETS = st.integers(0, 20)
RUNS = st.lists(
    st.builds(
        lambda stream, topic, partition, start, length, fate, day: (
            (stream, topic, partition, start, start + length, fate, DAY + timedelta(days=day))
        ),
        st.sampled_from([STREAM, "bid_requests"]),
        st.sampled_from(["t", "u"]),
        st.integers(0, 1),
        OFFSETS,
        st.integers(1, 8),
        st.sampled_from(["accepted", "duplicate"]),
        st.integers(0, 1),
    ),
    max_size=12,
)
PARTS = st.lists(
    st.builds(
        lambda topic, partition, start, length: LoadRange(
            topic, partition, start, start + length, 1
        ),
        st.sampled_from(["t", "u"]),
        st.integers(0, 1),
        OFFSETS,
        st.integers(1, 8),
    ),
    max_size=3,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs=RUNS, parts=PARTS)
def test_runs_are_cut_on_a_frame_as_the_statements_cut_them(
    shared: Books, runs: list[tuple[object, ...]], parts: list[LoadRange]
) -> None:
    shared.clear()
    if runs:
        marks = ", ".join("?" * len(runs[0]))
        insert = f"insert into control.expired_offsets values ({marks})"
        shared.connection.executemany(insert, runs)

    kept, days = cut_runs(table_rows(EXPIRED_OFFSETS, runs), STREAM, parts)

    for part in parts:
        for statement in returning_statements(9, "$"):
            shared.connection.execute(statement, range_parameters(STREAM, part))
    theirs = shared.connection.execute("select * from control.expired_offsets").fetchall()
    assert sorted(kept.rows()) == sorted(theirs)
    assert kept.schema == table_rows(EXPIRED_OFFSETS, []).schema
    noted = shared.connection.execute("select event_date from control.removed_rows").fetchall()
    assert sorted(days.rows()) == sorted(set(noted))


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-2, 2).map(lambda days: KEPT_FROM + timedelta(days=days)),
            st.integers(0, 3),
        )
    ),
    to_load_id=st.integers(0, 3),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_same_rows_go_from_a_frame_as_by_the_statement(
    shared: Books, rows: list[tuple[date | None, int]], to_load_id: int
) -> None:
    frame = pl.DataFrame(
        rows, schema={"event_date": pl.Date, "load_id": pl.Int64}, orient="row"
    ).with_row_index("number")
    stay = frame.filter(~is_going(KEPT_FROM, to_load_id))
    condition = going(KEPT_FROM, to_load_id)
    gone = shared.connection.sql(f"select number from frame where {condition}").fetchall()
    assert {*stay.select("number").rows()} == {(n,) for n in range(len(rows))} - {*gone}


def _covered(books: Books) -> list[int]:
    return sorted(offset for start, end, _ in books.runs() for offset in range(start, end))
