"""Runs of offsets stand for rows that went, exactly, and give way when the rows come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adx_platform.warehouse.base import LoadRange
from adx_platform.warehouse.expired_offsets import Leaving, noting_statement, returning_statements
from adx_platform.warehouse.load_rules import range_parameters
from adx_platform.warehouse.tables import CLICKS, CONVERSIONS, schema_statements

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


def _covered(books: Books) -> list[int]:
    return sorted(offset for start, end, _ in books.runs() for offset in range(start, end))
